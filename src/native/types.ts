// Numbers that must not be mixed up carry their meaning in their type.

/** A process id in this process's pid namespace. */
export type Pid = number & { readonly __brand: 'Pid' }

/** A file descriptor of this process. */
export type Fd = number & { readonly __brand: 'Fd' }

/** A file descriptor of another process; only pidfd_getfd makes it ours. */
export type RemoteFd = number & { readonly __brand: 'RemoteFd' }

/** A thread id in this process's pid namespace. The thread that leads a process has its pid. */
export type Tid = number & { readonly __brand: 'Tid' }
