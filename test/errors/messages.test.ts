import t from 'tap'
import { KeepmountError } from '../../src/errors/error.js'
import { messages } from '../../src/errors/messages.js'
import { errorCodes, errorEntry } from '../../src/errors/page.js'
import { quote } from '../../src/errors/quote.js'

for (const code of errorCodes) {
  t.test(`${code} says what happened, what to do, and ends with a known exit code`, async (t) => {
    const entry = errorEntry(code)
    t.ok(entry.example.length > 10, entry.example)
    t.ok(entry.remedy.length > 10, entry.remedy)
    t.notMatch(entry.example + entry.remedy, /undefined|null|\[object|NaN|\n/)
    t.ok([125, 126, 127, null].includes(entry.exit_code))
    t.notMatch(entry.example, /\.$/, 'a message is no sentence')
  })
}

t.test('the page lists every code once', async (t) => {
  t.same(errorCodes, Object.keys(messages))
  t.equal(new Set(errorCodes).size, errorCodes.length)
})

t.test('an error carries its code, its facts and its cause', async (t) => {
  const cause = new Error('why')
  const error = new KeepmountError('NOT_MANAGED', { target: 'x' }, { cause })
  t.match(error, { code: 'NOT_MANAGED', facts: { target: 'x' }, exitCode: 125, name: 'KeepmountError', cause })
})

const ends: [code: number | null, signal: string | null, exitCode: number][] = [
  [0, null, 125],
  [3, null, 3],
  [null, 'SIGTERM', 143],
  [null, null, 125],
]
for (const [code, signal, exitCode] of ends) {
  t.test(`a daemon that ends with ${signal ?? code} without a mount gives exit code ${exitCode}`, async (t) => {
    t.equal(new KeepmountError('EXITED_WITHOUT_MOUNT', { command: 'd', code, signal }).exitCode, exitCode)
  })
}

const words: [word: string, quoted: string][] = [
  ['/mnt/data', '/mnt/data'],
  ['a b', "'a b'"],
  ["it's", "'it'\\''s'"],
  ['', "''"],
  ['$HOME', "'$HOME'"],
  ['é', "'é'"],
]
for (const [word, quoted] of words) {
  t.test(`a shell takes ${quoted} as the word it is`, async (t) => t.equal(quote(word), quoted))
}
