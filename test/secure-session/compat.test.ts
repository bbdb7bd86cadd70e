import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { Child } from '../child.ts'
import { Browser } from './https-app.ts'

// Untyped: in this program request.session has the type that the package itself gives it.
const require = createRequire(import.meta.url)
const theirs = require('@fastify/secure-session') as never
const dropIn: string = '@fastkeep/secure-session/compat/fastify-secure-session'
const ours = (await import(dropIn) as { default: never }).default

interface Legacy { get: (key: string) => unknown, set: (key: string, value: unknown) => void }

async function started (t: Test, plugin: never, options: object): Promise<Browser> {
  const app: FastifyInstance = fastify()
  t.teardown(() => app.close())
  await app.register(plugin, options as never)
  const sessionOf = (request: object): Legacy => Reflect.get(request, 'session') as Legacy
  app.get('/write', async request => { sessionOf(request).set('user', 'ada'); return '' })
  app.get('/read', async request => ({ user: sessionOf(request).get('user') }))
  app.get('/large', async request => { sessionOf(request).set('user', 'x'.repeat(5000)); return 'done' })
  return Browser.of(t, app)
}

test('after the import was swapped nobody is logged out, and cookies are sealed anew at first sight', async t => {
  const key = randomBytes(32)
  const before = await started(t, theirs, { key, cookie: { path: '/' } })
  await before.fetch('/write')
  const after = await started(t, ours, { key, cookie: { path: '/' } })
  after.cookies.set('session', before.cookies.get('session')!)
  const first = await after.fetch('/read')
  t.equal(first.body, '{"user":"ada"}')
  t.match(first.setCookie, [/^session=[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/])
  const second = await after.fetch('/read')
  t.match(second, { body: '{"user":"ada"}', setCookie: { length: 0 } })
})

test('cookies under a retired key are read, and under a foreign one are not', async t => {
  const [old, current] = [randomBytes(32), randomBytes(32)]
  const before = await started(t, theirs, { key: old })
  await before.fetch('/write')
  const rotated = await started(t, ours, { key: [current, old] })
  const foreign = await started(t, ours, { key: current })
  for (const browser of [rotated, foreign]) browser.cookies.set('session', before.cookies.get('session')!)
  t.equal((await rotated.fetch('/read')).body, '{"user":"ada"}')
  t.equal((await foreign.fetch('/read')).body, '{}')
})

test('of 20,000 spoiled cookies of the former kind none is accepted and none is an error', async t => {
  const { openLegacy } = await import('../../packages/secure-session/src/compat/legacy-cookie.js')
  const key = randomBytes(32)
  const before = await started(t, theirs, { key })
  await before.fetch('/write')
  const good = decodeURIComponent(before.cookies.get('session')!)
  t.match(openLegacy([key], good), { text: /ada/ })
  const [cipher, nonce] = good.split(';') as [string, string]
  let accepted = 0
  for (let count = 0; count < 20_000; count++) {
    const bytes = Buffer.from(cipher, 'base64')
    bytes[count % bytes.length]! ^= 1 + count % 255
    const values = [`${bytes.toString('base64')};${nonce}`, `${cipher};${randomBytes(24).toString('base64')}`, cipher.slice(0, count % cipher.length) + ';' + nonce]
    const opened = openLegacy([key], values[count % 3]!)
    if (!('refused' in opened)) accepted++
  }
  t.equal(accepted, 0)
})

test('what browsers would ignore is not sent, and the answer is as it was', async t => {
  const browser = await started(t, ours, { key: randomBytes(32) })
  await browser.fetch('/write')
  t.match(await browser.fetch('/large'), { statusCode: 200, body: 'done', setCookie: { length: 0 } })
  t.equal((await browser.fetch('/read')).body, '{"user":"ada"}')
})

test('the types are those of the former package, by its names', async t => {
  const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
  const file = fileURLToPath(new URL('fixtures/drop-in.mts', import.meta.url))
  const child = new Child(t, process.execPath, [compiler, '--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--skipLibCheck', file])
  const { code } = await child.ended
  t.equal(code, 0, child.output)
})
