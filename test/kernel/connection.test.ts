// The number of a connection is given again at once; what was opened for one connection never means another.
import t from 'tap'
import { abortConnection, Connection, connectionExists } from '../../src/kernel/connection.js'
import { umount, umountFlags } from '../../src/native/mount.js'
import { isAborted } from '../../src/settle/aborted.js'
import { unservedMount } from '../fixtures/unserved-mount.js'

const skip = process.getuid?.() === 0 ? false : 'needs root'

t.test('what was opened for a connection tells how many requests wait, and aborts it', { skip }, async (t) => {
  const { fd, connection: number } = unservedMount(t)
  const connection = Connection.open(number, () => true)
  t.teardown(() => connection?.close())
  t.equal(connection?.waiting(), 1, 'FUSE_INIT')
  connection?.abort()
  t.equal(isAborted(fd), true)
  t.equal(connection?.exists(), true, 'it is there as long as its file system is')
})

t.test('it means nothing more when another has the number', { skip }, async (t) => {
  const first = unservedMount(t)
  const connection = Connection.open(first.connection, () => true)
  t.teardown(() => connection?.close())
  umount(first.mountpoint, umountFlags.MNT_DETACH)
  const second = unservedMount(t)
  t.equal(second.connection, first.connection, 'the number is given again')
  t.equal(connection?.exists(), false)
  connection?.abort()
  t.equal(isAborted(second.fd), false, 'the later one lives on')
})

t.test('one that is not meant is left alone', { skip }, async (t) => {
  const { fd, connection: number } = unservedMount(t)
  t.equal(
    Connection.open(number, () => false),
    null,
  )
  t.equal(
    abortConnection(number, () => false),
    false,
  )
  t.equal(isAborted(fd), false)
  t.equal(
    abortConnection(number, () => true),
    true,
  )
  t.equal(isAborted(fd), true)
})

t.test('there is none of a number that nobody has', { skip }, async (t) => {
  const none = 999_999
  t.equal(connectionExists(none), false)
  t.equal(
    Connection.open(none, () => true),
    null,
  )
})
