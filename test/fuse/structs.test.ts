import t from 'tap'
import { FATTR, FOPEN, FUSE_GETATTR_FH, initFlagBits, initNames, initWords } from '../../src/fuse/flags.js'
import { layout, sizeOf } from '../../src/fuse/layout.js'
import { notifyCodes, type OpcodeRow, opcodes } from '../../src/fuse/opcodes.js'
import { type StructName, structs } from '../../src/fuse/structs.js'

/** sizeof, as a C compiler has it for include/uapi/linux/fuse.h 7.45. */
const sizes: Record<StructName, number> = {
  fuse_in_header: 40,
  fuse_out_header: 16,
  fuse_attr: 88,
  fuse_sx_time: 16,
  fuse_statx: 256,
  fuse_kstatfs: 80,
  fuse_file_lock: 24,
  fuse_entry_out: 128,
  fuse_forget_in: 8,
  fuse_forget_one: 16,
  fuse_batch_forget_in: 8,
  fuse_getattr_in: 16,
  fuse_attr_out: 104,
  fuse_statx_in: 24,
  fuse_statx_out: 288,
  fuse_mknod_in: 16,
  fuse_mkdir_in: 8,
  fuse_rename_in: 8,
  fuse_rename2_in: 16,
  fuse_link_in: 8,
  fuse_setattr_in: 88,
  fuse_open_in: 8,
  fuse_create_in: 16,
  fuse_open_out: 16,
  fuse_release_in: 24,
  fuse_flush_in: 24,
  fuse_read_in: 40,
  fuse_write_in: 40,
  fuse_write_out: 8,
  fuse_statfs_out: 80,
  fuse_fsync_in: 16,
  fuse_setxattr_in: 16,
  fuse_getxattr_in: 8,
  fuse_getxattr_out: 8,
  fuse_lk_in: 48,
  fuse_lk_out: 24,
  fuse_access_in: 8,
  fuse_init_in: 64,
  fuse_init_out: 64,
  fuse_interrupt_in: 8,
  fuse_bmap_in: 16,
  fuse_bmap_out: 8,
  fuse_ioctl_in: 32,
  fuse_ioctl_iovec: 16,
  fuse_ioctl_out: 16,
  fuse_poll_in: 24,
  fuse_poll_out: 8,
  fuse_fallocate_in: 32,
  fuse_dirent: 24,
  fuse_direntplus: 152,
  fuse_lseek_in: 24,
  fuse_lseek_out: 8,
  fuse_copy_file_range_in: 56,
  fuse_copy_file_range_out: 8,
  fuse_setupmapping_in: 40,
  fuse_removemapping_in: 4,
  fuse_removemapping_one: 16,
  fuse_syncfs_in: 8,
  fuse_notify_poll_wakeup_out: 8,
  fuse_notify_inval_inode_out: 24,
  fuse_notify_inval_entry_out: 16,
  fuse_notify_delete_out: 24,
  fuse_notify_store_out: 24,
  fuse_notify_retrieve_out: 32,
  fuse_notify_retrieve_in: 40,
  fuse_notify_prune_out: 16,
  fuse_ext_header: 8,
  fuse_supp_groups: 4,
  fuse_secctx_header: 8,
  fuse_secctx: 8,
}

t.test('every struct has the size that the kernel has', async (t) => {
  t.same(Object.keys(sizes), Object.keys(structs))
  for (const [name, size] of Object.entries(sizes) as [StructName, number][]) t.equal(sizeOf(name), size, name)
})

t.test('a field stands where the kernel has it, in a nested struct too', async (t) => {
  const rows: [number, number][] = [
    [layout('fuse_in_header').total_extlen.offset, 36],
    [layout('fuse_setattr_in').mode.offset, 68],
    [layout('fuse_init_out').max_pages.offset, 28],
    [layout('fuse_init_out').flags2.offset, 32],
    [layout('fuse_entry_out').attr.$offset, 40],
    [layout('fuse_entry_out').attr.mode.offset, 100],
    [layout('fuse_statx_out').stat.mtime.tv_nsec.offset, 32 + 120],
    [layout('fuse_direntplus').dirent.namelen.offset, 144],
    [layout('fuse_lk_in').lk.pid.offset, 36],
  ]
  for (const [offset, expected] of rows) t.equal(offset, expected)
})

t.test('an accessor reads back what it wrote and touches nothing else', async (t) => {
  const bytes = new Uint8Array(80).fill(0xaa)
  const view = new DataView(bytes.buffer)
  const { unique, opcode, padding } = layout('fuse_in_header')
  unique.set(view, 8, 0xfedc_ba98_7654_3210n)
  t.equal(unique.get(view, 8), 0xfedc_ba98_7654_3210n)
  t.equal(unique.low(view, 8), 0x7654_3210)
  t.equal(unique.high(view, 8), 0xfedc_ba98)
  unique.setHalves(view, 8, 7, 0x8000_0000)
  t.equal(unique.get(view, 8), (1n << 63n) + 7n)
  unique.setNumber(view, 8, 2 ** 52 + 3)
  t.equal(unique.number(view, 8), 2 ** 52 + 3)
  opcode.set(view, 8, 0xffff_ffff)
  t.equal(opcode.get(view, 8), 0xffff_ffff)
  padding.set(view, 8, 0x1234)
  t.equal(padding.get(view, 8), 0x1234)
  const touched = [...bytes.keys()].filter((i) => bytes[i] !== 0xaa)
  t.same(touched, [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 46, 47])
  const { error } = layout('fuse_out_header')
  error.set(view, 0, -2)
  t.equal(error.get(view, 0), -2)
  const { off } = layout('fuse_notify_inval_inode_out')
  off.set(view, 0, -1n)
  t.equal(off.get(view, 0), -1n)
})

t.test('INIT flags go into two words and come back by name', async (t) => {
  const names = ['FUSE_ASYNC_READ', 'FUSE_INIT_RESERVED', 'FUSE_SECURITY_CTX', 'FUSE_REQUEST_TIMEOUT'] as const
  const { flags, flags2 } = initWords(names)
  t.equal(flags, 0x8000_0001)
  t.equal(flags2, 0x401)
  t.same(initNames(flags, flags2), [...names])
  t.same(initNames(0, 1 << 31), ['1<<63'])
  t.equal(new Set(Object.values(initFlagBits)).size, Object.keys(initFlagBits).length)
})

t.test('every opcode and notification has a number of its own, and its fields are fields of its structs', async (t) => {
  const rows: [string, OpcodeRow][] = Object.entries(opcodes)
  t.equal(new Set(rows.map(([, row]) => row.number)).size, rows.length)
  const fieldsOf = (name: StructName | null) => (name ? Object.keys(structs[name]) : [])
  for (const [name, row] of rows) {
    const holder = row.tail && row.tail !== 'bytes' ? row.tail : row.in
    for (const field of row.nodes ?? []) t.ok(fieldsOf(holder).includes(field), `${name}.${field}`)
    for (const { field, when } of row.handles ?? []) {
      t.ok(fieldsOf(row.in).includes(field), `${name}.${field}`)
      if (when) t.ok(fieldsOf(row.in).includes(when.field), `${name}.${when.field}`)
    }
    const out = row.out.flatMap(fieldsOf)
    for (const field of [...(row.outNodes ?? []), ...(row.outHandles ?? [])])
      t.ok(out.includes(field) || row.outTail === 'fuse_direntplus', `${name} replies ${field}`)
    t.equal(Boolean(row.handles ?? row.outHandles), row.handle !== undefined, `${name} says what its handles are`)
    if (!row.reply) t.same(row.out, [], `${name} replies nothing`)
  }
  t.same(
    Object.values(notifyCodes).map((row) => row.number),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  t.equal(opcodes.GETATTR.handles[0].when.bit, FUSE_GETATTR_FH)
  t.equal(opcodes.SETATTR.handles[0].when.bit, FATTR.FATTR_FH)
  t.equal(FOPEN.FOPEN_PASSTHROUGH, 128)
})
