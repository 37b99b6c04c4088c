// A supervisor for the tests that is killed: it starts holders, gives them channels, says so in a line of JSON, and waits.
// keeper NAME HOLDERS CHANNELS
import { openSync } from 'node:fs'
import { Holders } from '../../src/hold/holders.js'
import type { Fd } from '../../src/native/types.js'

const [name = '', holders, channels] = process.argv.slice(2)
const group = Holders.start(name, Number(holders))
for (let i = 0; i < Number(channels); i++) group.hold(openSync('/dev/fuse', 'r+') as Fd)
process.stdout.write(`${JSON.stringify(group.records())}\n`)
process.stdin.resume()
