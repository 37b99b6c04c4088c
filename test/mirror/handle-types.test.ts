import t from 'tap'
import { type HandleType, handleTypeOf, handleTypes } from '../../src/mirror/handle-types.js'

t.test(
  'every byte of a handle is one thing: inode, its upper half, generation, or the same for all files',
  async (t) => {
    for (const [name, row] of Object.entries<HandleType>(handleTypes)) {
      const meaning = new Array<number>(row.bytes).fill(0)
      const mark = (from: number, to: number) => {
        for (let i = from; i < to; i++) meaning[i] = (meaning[i] ?? 0) + 1
      }
      mark(row.inode, row.inode + 4)
      if (row.inodeHigh >= 0) mark(row.inodeHigh, row.inodeHigh + 4)
      mark(row.generation, row.generation + 4)
      mark(...row.constant)
      t.same(meaning, new Array(row.bytes).fill(1), name)
    }
  },
)

t.test('the row is found by type, length and file system', async (t) => {
  const [EXT4, TMPFS, XFS, BTRFS, FUSE, OVERLAYFS] = [
    0xef53, 0x01021994, 0x58465342, 0x9123683e, 0x65735546, 0x794c7630,
  ]
  const cases: [what: string, type: number, bytes: number, fileSystem: number, row: HandleType | undefined][] = [
    ['ext4', 1, 8, EXT4, handleTypes.ino32Gen],
    ['tmpfs', 1, 12, TMPFS, handleTypes.tmpfs],
    ['xfs', 0x81, 12, XFS, handleTypes.xfs],
    ['xfs with 32-bit inodes', 1, 8, XFS, handleTypes.ino32Gen],
    ['btrfs', 0x4d, 20, BTRFS, handleTypes.btrfs],
    ['btrfs with a parent', 0x4e, 28, BTRFS, undefined],
    ['FUSE, whose type is that of xfs', 0x81, 12, FUSE, undefined],
    ['overlayfs', 0xf8, 30, OVERLAYFS, undefined],
    ['ext4 with a parent', 2, 16, EXT4, undefined],
  ]
  for (const [what, type, bytes, fileSystem, row] of cases) t.equal(handleTypeOf(type, bytes, fileSystem), row, what)
})
