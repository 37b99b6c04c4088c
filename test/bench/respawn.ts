// What a service manager with Restart=always and no delay does: MOUNT COMMAND…. Starts the daemon, and when it has ended,
// unmounts what it has left and starts it again. Tells the daemon's pid by a message each time.
import { spawn, spawnSync } from 'node:child_process'

const [mount = '', command = '', ...rest] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
start()

function start(): void {
  const daemon = spawn(command, rest, { stdio: 'ignore', cwd: '/' })
  daemon.once('exit', () => {
    spawnSync('umount', ['-l', mount], { stdio: 'ignore' })
    start()
  })
  process.send?.({ pid: daemon.pid })
}
