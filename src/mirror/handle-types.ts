// How the file handle of each file system is made into a nodeid and back: nodeid = generation << 32 | inode. The inode
// alone is used again when a file is deleted; with its generation it never names another file, in this life or the next.
//
// A handle that says more than 64 bits carries it as constants, equal for all files of a folder: those of the root's
// handle are taken for all, and a file whose constants differ is not of this file system (a btrfs subvolume).

export interface HandleType {
  readonly type: number
  /** Length of f_handle. */
  readonly bytes: number
  /** Where the inode's low 32 bits stand in f_handle, and its high ones, which must be zero; -1 if there are none. */
  readonly inode: number
  readonly inodeHigh: number
  readonly generation: number
  /** From where to where f_handle is the same for all files. */
  readonly constant: readonly [from: number, to: number]
  /** The file systems that lay it out so, as f_type of statfs(2); null for any. */
  readonly fileSystems: readonly number[] | null
}

const TMPFS_MAGIC = 0x01021994
const XFS_SUPER_MAGIC = 0x58465342
const BTRFS_SUPER_MAGIC = 0x9123683e

/** Source: include/linux/exportfs.h, fs/libfs.c, mm/shmem.c, fs/xfs/xfs_export.c, fs/btrfs/export.h. */
export const handleTypes = {
  /** FILEID_INO32_GEN { u32 ino; u32 gen }: ext2, ext3, ext4, f2fs, and others that use the generic helper. */
  ino32Gen: { type: 1, bytes: 8, inode: 0, inodeHigh: -1, generation: 4, constant: [0, 0], fileSystems: null },
  /** { u32 gen; u32 ino; u32 ino_high } */
  tmpfs: { type: 1, bytes: 12, inode: 4, inodeHigh: 8, generation: 0, constant: [0, 0], fileSystems: [TMPFS_MAGIC] },
  /** FILEID_INO32_GEN | XFS_FILEID_TYPE_64FLAG { u64 ino; u32 gen } */
  xfs: {
    type: 0x81,
    bytes: 12,
    inode: 0,
    inodeHigh: 4,
    generation: 8,
    constant: [0, 0],
    fileSystems: [XFS_SUPER_MAGIC],
  },
  /** FILEID_BTRFS_WITHOUT_PARENT { u64 objectid; u64 root_objectid; u32 gen } */
  btrfs: {
    type: 0x4d,
    bytes: 20,
    inode: 0,
    inodeHigh: 4,
    generation: 16,
    constant: [8, 16],
    fileSystems: [BTRFS_SUPER_MAGIC],
  },
} as const satisfies Record<string, HandleType>

/** The row for a handle of this type and length on a file system of this magic; undefined if none is known. */
export function handleTypeOf(type: number, bytes: number, fileSystem: number): HandleType | undefined {
  return Object.values<HandleType>(handleTypes).find(
    (row) =>
      row.type === type && row.bytes === bytes && (row.fileSystems === null || row.fileSystems.includes(fileSystem)),
  )
}
