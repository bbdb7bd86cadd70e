import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'tap'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { cookiesOf } from './cookies.ts'
import { Browser, httpsApp, overHttps } from './https-app.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Ways to spoil a genuine cookie. */
const MUTATIONS: ReadonlyArray<(value: string) => string> = [
  value => at(value, randomInt(value.length), other => ALPHABET[(ALPHABET.indexOf(other) + 1 + randomInt(63)) % 64]!),
  value => value.slice(0, randomInt(value.length)),
  value => value.slice(1 + randomInt(value.length - 1)),
  value => value + ALPHABET[randomInt(64)]!,
  value => value + value,
  value => value.slice(0, 20) + randomBytes(80).toString('base64url'),
  value => { const start = randomInt(value.length - 4); return value.slice(0, start) + value.slice(start + 1 + randomInt(3)) },
  value => { const [a, b] = [randomInt(value.length), randomInt(value.length)]; return a === b || value[a] === value[b] ? '' : at(at(value, a, () => value[b]!), b, () => value[a]!) },
  value => at(value, randomInt(value.length), () => '=+/ .%;\u00e9\0'[randomInt(9)]!),
  () => randomBytes(randomInt(300)).toString('base64url'),
  () => randomBytes(randomInt(200)).toString('latin1'),
  value => `${randomInt(10)}.${value}`,
]

function at (value: string, index: number, change: (character: string) => string): string {
  return value.slice(0, index) + change(value[index]!) + value.slice(index + 1)
}

test('of 120,000 spoiled cookies none is accepted and none throws', async t => {
  const cookies = cookiesOf()
  const now = currentSecond()
  const data = JSON.stringify({ user: 'ada', cart: { items: ['tea', 'milk'] } })
  const record = { id: randomBytes(32).toString('base64url'), createdAt: now, renewedAt: now }
  const good = cookies.seal({ record, sealedAt: now * 1000, data }, now)
  t.match(cookies.open(good, now), { data })
  const accepted: string[] = []
  const reasons = new Map<string, number>()
  for (let count = 0; count < 120_000; count++) {
    const value = MUTATIONS[count % MUTATIONS.length]!(good)
    if (value === good) throw new Error('the mutation changed nothing')
    const opened = cookies.open(value, now)
    if (!('refused' in opened)) accepted.push(value)
    else reasons.set(opened.refused, (reasons.get(opened.refused) ?? 0) + 1)
  }
  t.same(accepted, [])
  t.same([...reasons.keys()].toSorted(), ['malformed', 'tampered', 'unknown-key', 'unknown-version'].concat(reasons.has('day-in-future') ? ['day-in-future'] : [], reasons.has('expired') ? ['expired'] : []).toSorted())
})

test('over the wire a spoiled cookie is a new session and never a 500', overHttps, async t => {
  const { app } = await httpsApp(t, { keys: [Buffer.from(randomBytes(32))], chunks: 3 })
  app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => ({ isNew: session.isNew }))
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  const good = browser.session
  for (let count = 0; count < 600; count++) {
    // What a client can send at all.
    browser.session = MUTATIONS[count % MUTATIONS.length]!(good).replace(/[^\x21-\x7e]|;/g, '')
    if (browser.session === good) continue
    t.match(await browser.fetch('/read'), { statusCode: 200, body: '{"isNew":true}' }, browser.session.slice(0, 60))
  }
  browser.session = 'x'.repeat(12_000)
  t.match(await browser.fetch('/read'), { statusCode: 200, body: '{"isNew":true}' })
})
