import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fastify from 'fastify'
import { test, type Test } from 'tap'
import secureSession, { generateKey } from '@fastkeep/secure-session'
import { readKeyFile } from '../../packages/secure-session/src/sealed/key-file.js'
import { needs } from '../programs.ts'

const keyFileModule = new URL('../../packages/secure-session/src/sealed/key-file.ts', import.meta.url).href
const prefix = 'FST_KEEP_SECURE_SESSION_'
const byMode = { skip: process.platform === 'win32' && 'no such mode on Windows' }

function file (t: Test, mode: number, directory = t.testdir()): string {
  const path = join(directory, 'session-keys')
  writeFileSync(path, 'text')
  chmodSync(path, mode)
  return path
}

async function register (t: Test, options: object): Promise<void> {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(secureSession, options)
}

test('a key in place of the path is recognised, and neither the error nor its cause shows it', async t => {
  const key = generateKey()
  const hex = Buffer.from(key, 'base64').toString('hex')
  const bytes = Buffer.from(key, 'base64')
  const mistaken = [key, key.slice(0, -1), `${key}\n`, `${key},${generateKey()}`, bytes.toString('base64url'), hex, hex.slice(32), bytes.subarray(0, 16).toString('base64')]
  for (const keyFile of mistaken) {
    const error = await register(t, { keyFile }).catch((error: unknown) => error)
    t.match(error, { code: `${prefix}KEY_INVALID`, exitCode: 78, message: /"keyFile" holds a key, not a path/ })
    t.notMatch(inspect(error, { depth: 5 }), keyFile.slice(0, 8))
  }
})

test('a path that cannot be one is refused without being shown', async t => {
  const key = generateKey()
  const error = await register(t, { keyFile: `${key}\0` }).catch((error: unknown) => error)
  t.match(error, { code: `${prefix}OPTION_INVALID`, message: /"keyFile" must be the path of a file/ })
  t.notMatch(inspect(error, { depth: 5 }), key.slice(0, 8))
})

test('a file that is named like a key is read all the same', async t => {
  const path = join(t.testdir(), 'abcdefghijABCDEFGHIJabcdefghijABCDEFGHIJabc')
  writeFileSync(path, 'text', { mode: 0o600 })
  t.equal(readKeyFile(path, 'owner', {}), 'text')
})

test('below $CREDENTIALS_DIRECTORY 0440 is accepted, and no other directory is', byMode, async t => {
  const directory = t.testdir({ credentials: {}, 'credentials-of-another': {} })
  const environment = { CREDENTIALS_DIRECTORY: join(directory, 'credentials') }
  const credential = file(t, 0o440, environment.CREDENTIALS_DIRECTORY)
  t.equal(readKeyFile(credential, 'owner', environment), 'text')
  const elsewhere = [
    file(t, 0o440, join(directory, 'credentials-of-another')),
    file(t, 0o440, directory),
    join(environment.CREDENTIALS_DIRECTORY, '..', 'session-keys'),
  ]
  for (const path of elsewhere) t.throws(() => readKeyFile(path, 'owner', environment), { code: `${prefix}KEY_FILE_EXPOSED` }, path)
  for (const CREDENTIALS_DIRECTORY of [undefined, '', '.']) {
    t.throws(() => readKeyFile(credential, 'owner', { CREDENTIALS_DIRECTORY }), { code: `${prefix}KEY_FILE_EXPOSED` })
  }
  for (const mode of [0o444, 0o460]) {
    chmodSync(credential, mode)
    t.throws(() => readKeyFile(credential, 'owner', environment), { code: `${prefix}KEY_FILE_EXPOSED` }, mode.toString(8))
  }
  t.equal(readKeyFile(file(t, 0o444, environment.CREDENTIALS_DIRECTORY), 'everyone', environment), 'text')
})

test('keyFileReaders says who may read the file; nobody else may write it in any case', byMode, async t => {
  const accepted = { owner: [0o400, 0o600], group: [0o400, 0o440, 0o640], everyone: [0o440, 0o444, 0o644] } as const
  const refused = { owner: [0o440, 0o404], group: [0o444, 0o460, 0o450], everyone: [0o446, 0o464, 0o445] } as const
  for (const readers of ['owner', 'group', 'everyone'] as const) {
    for (const mode of accepted[readers]) t.equal(readKeyFile(file(t, mode), readers, {}), 'text', `${readers} ${mode.toString(8)}`)
    for (const mode of refused[readers]) t.throws(() => readKeyFile(file(t, mode), readers, {}), { code: `${prefix}KEY_FILE_EXPOSED` }, `${readers} ${mode.toString(8)}`)
  }
})

test('keyFileReaders is an option of the plugin, and a misspelt one is refused', byMode, async t => {
  const keyFile = file(t, 0o600)
  writeFileSync(keyFile, generateKey())
  chmodSync(keyFile, 0o444)
  await t.resolves(register(t, { keyFile, keyFileReaders: 'everyone' }))
  await t.rejects(register(t, { keyFile }), { code: `${prefix}KEY_FILE_EXPOSED` })
  await t.rejects(register(t, { keyFile, keyFileReaders: 'grup' }), { code: `${prefix}OPTION_INVALID`, message: /did you mean "group"/ })
})

test('the refusal of a mode says what to do by hand, with systemd, and with mounted secrets', byMode, async t => {
  const advice = /can read it\. Run: chmod 600.*\$CREDENTIALS_DIRECTORY, where 0440.*"keyFileReaders" to 'group' or 'everyone'/
  t.throws(() => readKeyFile(file(t, 0o440), 'owner', {}), { message: advice, exitCode: 78 })
  t.throws(() => readKeyFile(file(t, 0o622), 'owner', {}), { message: /has mode 0622, so that other users can change it/ })
})

test('a FIFO is refused and not waited for', { skip: needs('mkfifo') }, async t => {
  const path = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', ['-m', '600', path])
  // In a process of its own: to wait for the writer would block this one, its timeouts included.
  const program = `import { readKeyFile } from ${JSON.stringify(keyFileModule)}
    try { readKeyFile(${JSON.stringify(path)}, 'owner', {}) } catch ({ code, message }) { console.log(code, message) }`
  const said = execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', program], { encoding: 'utf8', timeout: 30_000, killSignal: 'SIGKILL' })
  t.match(said, /^FST_KEEP_SECURE_SESSION_KEY_FILE_UNREADABLE .*\/fifo" \(not a regular file\)/)
})

test('a device and a directory are refused', byMode, async t => {
  const directory = join(t.testdir(), 'directory')
  mkdirSync(directory, { mode: 0o700 })
  for (const path of ['/dev/zero', directory]) {
    t.throws(() => readKeyFile(path, 'owner', {}), { code: `${prefix}KEY_FILE_UNREADABLE`, message: /not a regular file/ }, path)
  }
})

test('64 KiB are read, a byte more is refused', async t => {
  const path = file(t, 0o600)
  truncateSync(path, 64 * 1024)
  t.equal(readKeyFile(path, 'owner', {}).length, 64 * 1024)
  truncateSync(path, 64 * 1024 + 1)
  t.throws(() => readKeyFile(path, 'owner', {}), { code: `${prefix}KEY_FILE_UNREADABLE`, message: /more than 65536 bytes/ })
})
