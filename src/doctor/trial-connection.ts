// A FUSE connection to try the kernel with: a mount attached nowhere, whose daemon is this process. FUSE_INIT is answered
// by hand. Nothing of it is left when it is closed, or when this process dies.
//
//   request: | fuse_in_header 40 | major | minor | max_readahead | flags | flags2 | … |
//   reply:   | len | error | unique | fuse_init_out 64 |
//
// Source: include/uapi/linux/fuse.h; fuse.rst of the kernel's documentation.
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { closeFd } from '../native/descriptor.js'
import { rawSyscall } from '../native/ffi.js'
import { detachedMount } from '../native/mount.js'
import type { Fd } from '../native/types.js'

const IN_HEADER = 40
const OUT_HEADER = 16
const INIT_OUT = 64
/** The kernel refuses to read into less than FUSE_MIN_READ_BUFFER. */
const BUFFER = 8192
const FUSE_INIT = 26
const FUSE_KERNEL_VERSION = 7
/** The first minor version with the fuse_init_out of 64 bytes. */
const FUSE_KERNEL_MINOR_VERSION = 23

export class TrialConnection {
  private constructor(
    readonly channel: number,
    readonly mount: Fd,
    /** The protocol version of the kernel, as `7.45`. */
    readonly protocol: string,
  ) {}

  /** @throws SyscallError, EPERM without CAP_SYS_ADMIN */
  static open(): TrialConnection {
    const channel = openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK)
    let mount: Fd | undefined
    try {
      mount = detachedMount('fuse', { fd: String(channel), rootmode: '40000', user_id: '0', group_id: '0' })
      return new TrialConnection(channel, mount, answerInit(channel))
    } catch (error) {
      closeSync(channel)
      if (mount !== undefined) closeFd(mount)
      throw error
    }
  }

  /** Writes a notification without a body. Returns 0 or the errno: EINVAL for a code that the kernel does not know. */
  notify(code: number): number {
    const notification = Buffer.alloc(OUT_HEADER)
    notification.writeUInt32LE(OUT_HEADER, 0)
    notification.writeInt32LE(code, 4)
    const result = rawSyscall('write', this.channel, notification, notification.length)
    return result < 0 ? -result : 0
  }

  /** Attaches a second file of the device to the connection. Returns 0 or the errno. */
  clone(): number {
    const second = openSync('/dev/fuse', constants.O_RDWR)
    try {
      const argument = Buffer.alloc(4)
      argument.writeUInt32LE(this.channel)
      return -Math.min(0, rawSyscall('ioctl', second, FUSE_DEV_IOC_CLONE, argument))
    } finally {
      closeSync(second)
    }
  }

  /** Its number in fusectl as the channel's fdinfo has it; null where the kernel does not tell. */
  get connection(): number | null {
    const number = /^fuse_connection:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${this.channel}`, 'utf8'))?.[1]
    return number === undefined ? null : Number(number)
  }

  close(): void {
    // The channel first: without a daemon the unmount has nobody to wait for.
    closeSync(this.channel)
    closeFd(this.mount)
  }
}

/** _IOR(229, 0, uint32_t) */
const FUSE_DEV_IOC_CLONE = 0x8004_e500

function answerInit(channel: number): string {
  const request = Buffer.alloc(BUFFER)
  readSync(channel, request)
  if (request.readUInt32LE(4) !== FUSE_INIT)
    throw new Error(`FUSE_INIT expected, and opcode ${request.readUInt32LE(4)} came`)
  const reply = Buffer.alloc(OUT_HEADER + INIT_OUT)
  reply.writeUInt32LE(reply.length, 0)
  request.copy(reply, 8, 8, 16)
  reply.writeUInt32LE(FUSE_KERNEL_VERSION, OUT_HEADER)
  reply.writeUInt32LE(FUSE_KERNEL_MINOR_VERSION, OUT_HEADER + 4)
  reply.writeUInt32LE(4096, OUT_HEADER + 20) // max_write
  writeSync(channel, reply)
  return `${request.readUInt32LE(IN_HEADER)}.${request.readUInt32LE(IN_HEADER + 4)}`
}
