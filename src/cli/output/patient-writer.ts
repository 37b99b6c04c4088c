// Writing to a pipe, terminal or socket as it takes the text, without blocking and without changing the flags of a
// description that others share. Node's own streams make terminals blocking: there Ctrl-S would stop the supervisor.
import { constants } from 'node:os'
import { Writable } from 'node:stream'
import { SyscallError } from '../../native/error.js'
import { rawSyscall } from '../../native/ffi.js'
import { type Unwatch, Watcher } from '../../native/watch.js'

const POLLOUT = 4
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const { EAGAIN, EINTR } = constants.errno

export class PatientWriter extends Writable {
  private watcher: Watcher | null = null

  /** @param fd of a `file` it should be open with O_NONBLOCK, of a `socket` it need not be */
  constructor(
    private readonly fd: number,
    private readonly kind: 'file' | 'socket',
  ) {
    super({ decodeStrings: true })
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const taken =
      this.kind === 'socket'
        ? rawSyscall('sendto', this.fd, chunk, chunk.length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
        : rawSyscall('write', this.fd, chunk, chunk.length)
    if (taken === chunk.length) done()
    else if (taken >= 0) this._write(chunk.subarray(taken), _encoding, done)
    else if (taken === -EINTR) this._write(chunk, _encoding, done)
    else if (taken === -EAGAIN) this.whenWritable(() => this._write(chunk, _encoding, done))
    else done(new SyscallError('write', -taken, `fd ${this.fd}`))
  }

  private whenWritable(go: () => void): void {
    this.watcher ??= new Watcher()
    const unwatch: Unwatch = this.watcher.watch(this.fd, POLLOUT, () => {
      unwatch()
      go()
    })
  }
}
