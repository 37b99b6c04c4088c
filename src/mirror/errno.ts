// The errnos that mirrorfs itself answers with or decides by; all others go from the kernel to the kernel unread.
// Source: include/uapi/asm-generic/errno-base.h, errno.h (the same on x86-64 and aarch64).
export const EPERM = 1
export const ENOENT = 2
export const EINTR = 4
export const EIO = 5
export const EBADF = 9
export const EAGAIN = 11
export const EEXIST = 17
export const EXDEV = 18
export const ENODEV = 19
export const EINVAL = 22
export const EMFILE = 24
export const ENOTTY = 25
export const ENOSPC = 28
export const EROFS = 30
export const EMLINK = 31
export const ENOSYS = 38
export const ENODATA = 61
export const EOVERFLOW = 75
export const ECONNABORTED = 103
export const ESTALE = 116
export const EDQUOT = 122
