import { randomBytes } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fastify from 'fastify'
import { Cluster } from 'ioredis'
import { test, type Test } from 'tap'
import secureSession, { generateKey, type SecureSessionOptions } from '@fastkeep/secure-session'
import { RedisStore } from '@fastkeep/secure-session/redis'

const prefix = 'FST_KEEP_SECURE_SESSION_'

async function register (t: Test, options: object): Promise<void> {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(secureSession, options as SecureSessionOptions)
  await app.ready()
}

function environment (t: Test, value: string): void {
  process.env.FASTKEEP_SESSION_KEYS = value
  t.teardown(() => { delete process.env.FASTKEEP_SESSION_KEYS })
}

function keyFile (t: Test, text: string, mode = 0o600): string {
  const path = join(t.testdir(), 'session-keys')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

test('without a key registration fails and names the command that makes one', async t => {
  await t.rejects(register(t, {}), { code: `${prefix}KEYS_MISSING`, message: /node -e "console\.log\(require\('node:crypto'\)\.randomBytes\(32\)/, exitCode: 78 })
})

test('a blank FASTKEEP_SESSION_KEYS is no key', async t => {
  environment(t, ' , ')
  await t.rejects(register(t, {}), { code: `${prefix}KEYS_MISSING` })
})

test('keys are taken as 32 bytes or as base64 of them', async t => {
  await t.resolves(register(t, { keys: [randomBytes(32), generateKey()] }))
  await t.resolves(register(t, { keys: [new Uint8Array(randomBytes(32))] }))
})

test('what is not 32 random bytes is no key', async t => {
  const refused: Array<[string, string | Buffer, RegExp]> = [
    ['too short', randomBytes(31), /entry 1, has 31 bytes/],
    ['too long', randomBytes(33), /entry 1, has 33 bytes/],
    ['base64 without padding', generateKey().replace('=', ''), /entry 1, is not base64/],
    ['base64 with white space', ` ${generateKey()}`, /entry 1, is not base64/],
    ['base64url', Buffer.alloc(32, 0xfb).toString('base64url') + '=', /entry 1, is not base64/],
    ['a password', Buffer.from('correct horse battery staple 123'), /entry 1, is not random/],
    ['zeros', Buffer.alloc(32), /entry 1, is not random/],
  ]
  for (const [name, entry, message] of refused) {
    await t.rejects(register(t, { keys: [entry] }), { code: `${prefix}KEY_INVALID`, message, exitCode: 78 }, name)
  }
})

test('one bad key among good ones is refused, and none is shown', async t => {
  const bad = 'hunter2-hunter2'
  const error = await register(t, { keys: [generateKey(), bad] }).catch((error: Error) => error) as Error
  t.match(error, { code: `${prefix}KEY_INVALID`, message: /entry 2/ })
  t.notMatch(error.message, /hunter2/)
})

test('the same key twice is refused', async t => {
  const key = generateKey()
  await t.rejects(register(t, { keys: [key, Buffer.from(key, 'base64')] }), { code: `${prefix}KEY_INVALID`, message: /same key twice/ })
})

test('an empty list of keys is refused', async t => {
  await t.rejects(register(t, { keys: [] }), { code: `${prefix}OPTION_INVALID`, message: /"keys" must be an array, not empty/ })
})

test('a key file has one key on each line', async t => {
  await t.resolves(register(t, { keyFile: keyFile(t, `${generateKey()}\n${generateKey()}\r\n\n`) }))
})

test('a key file that others can read is refused', { skip: process.platform === 'win32' && 'no such mode on Windows' }, async t => {
  for (const mode of [0o640, 0o604, 0o620]) {
    await t.rejects(register(t, { keyFile: keyFile(t, generateKey(), mode) }), {
      code: `${prefix}KEY_FILE_EXPOSED`, message: new RegExp(`has mode 0${mode.toString(8)}`), exitCode: 78,
    })
  }
})

test('a key file that is missing, empty or spoiled is refused by name', async t => {
  await t.rejects(register(t, { keyFile: '/nowhere/keys' }), { code: `${prefix}KEY_FILE_UNREADABLE`, message: /"\/nowhere\/keys" \(ENOENT\)/, exitCode: 78 })
  await t.rejects(register(t, { keyFile: keyFile(t, '\n') }), { code: `${prefix}KEY_INVALID`, message: /has no key in it/ })
  await t.rejects(register(t, { keyFile: keyFile(t, `${generateKey()}\nsecret`) }), { code: `${prefix}KEY_INVALID`, message: /session-keys", key 2, is not base64/ })
})

test('two sources that contradict each other are refused', async t => {
  await t.rejects(register(t, { keys: [generateKey()], keyFile: keyFile(t, generateKey()) }), { code: `${prefix}KEYS_CONTRADICT`, exitCode: 78 })
})

test('the environment gives keys separated by commas or white space', async t => {
  environment(t, `${generateKey()}, ${generateKey()}\n${generateKey()}`)
  await t.resolves(register(t, {}))
})

test('a spoiled key in the environment is refused', async t => {
  environment(t, `${generateKey()},nonsense`)
  await t.rejects(register(t, {}), { code: `${prefix}KEY_INVALID`, message: /FASTKEEP_SESSION_KEYS, key 2/ })
})

test('the environment is not looked at where an option gives the keys', async t => {
  environment(t, 'nonsense')
  await t.resolves(register(t, { keys: [generateKey()] }))
})

test('a misspelt option is refused with the nearest one', async t => {
  await t.rejects(register(t, { keys: [generateKey()], idleTimout: 5 }), { code: `${prefix}OPTION_UNKNOWN`, message: /did you mean "idleTimeout"/ })
})

test('a cookie name with a prefix or with characters outside a token is refused', async t => {
  for (const cookieName of ['__Host-session', '__secure-x', 'a b', 'a;b', 'a=b', '', 'x'.repeat(65)]) {
    await t.rejects(register(t, { keys: [generateKey()], cookieName }), { code: `${prefix}OPTION_INVALID`, message: /"cookieName"/ }, cookieName)
  }
})

test('timeouts are whole seconds up to 400 days, the idle one no longer than the absolute one', async t => {
  for (const idleTimeout of [0, 1.5, -1, '60', Infinity]) {
    await t.rejects(register(t, { keys: [generateKey()], idleTimeout }), { code: `${prefix}OPTION_INVALID` })
  }
  await t.rejects(register(t, { keys: [generateKey()], absoluteTimeout: 400 * 86400 + 1 }), { code: `${prefix}OPTION_INVALID` })
  await t.rejects(register(t, { keys: [generateKey()], idleTimeout: 61, absoluteTimeout: 60 }), { code: `${prefix}TIMEOUTS_CONTRADICT`, message: /"idleTimeout" \(61 s\).*"absoluteTimeout" \(60 s\)/ })
  await t.rejects(register(t, { keys: [generateKey()], idleTimeout: 60, renewAfter: 61 }), { code: `${prefix}TIMEOUTS_CONTRADICT`, message: /"renewAfter" \(61 s\).*"idleTimeout" \(60 s\)/ })
})

test('a route option that is no boolean is refused when the route is added', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(secureSession, { keys: [generateKey()] })
  t.throws(() => app.get('/', { session: 'off' as unknown as boolean }, async () => ''), { code: `${prefix}OPTION_INVALID`, message: /"session" must be a boolean/ })
})

test('a Cluster that reads from replicas, which may not know of a logout yet, is refused', async t => {
  const cluster = (scaleReads: 'master' | 'slave'): Cluster => new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, scaleReads })
  t.throws(() => new RedisStore({ client: cluster('slave') }), { code: `${prefix}OPTION_INVALID`, message: /scaleReads: 'master'/, exitCode: 78 })
  t.doesNotThrow(() => new RedisStore({ client: cluster('master') }))
})
