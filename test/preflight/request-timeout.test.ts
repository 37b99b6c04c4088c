import { join } from 'node:path'
import t from 'tap'
import { requestTimeout } from '../../src/preflight/request-timeout.js'

const rows: [byDefault: string | null, most: string | null, seconds: number][] = [
  [null, null, 0],
  ['0', '0', 0],
  ['30', '0', 30],
  ['0', '60', 60],
  ['30', '60', 30],
  ['90', '60', 60],
]
for (const [byDefault, most, seconds] of rows) {
  t.test(`with a default of ${byDefault} and a maximum of ${most} the limit is ${seconds || 'none'}`, async (t) => {
    const folder = t.testdir({
      ...(byDefault !== null && { default_request_timeout: `${byDefault}\n` }),
      ...(most !== null && { max_request_timeout: `${most}\n` }),
    })
    t.equal(requestTimeout(join(folder)), seconds)
  })
}
