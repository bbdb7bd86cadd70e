import { findConfigFile, readConfigFile, type ConfigTable } from '@fastkeep/engine'
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { secret, string } from '@fastkeep/options'
import { jsonErrorOffset } from '../../packages/engine/src/config/json-error-offset.js'

const CODE = 'FST_KEEP_ENGINE_CONFIG_FILE_'

/** A new directory with these files, whose JavaScript is ESM; Node remembers what it has read of a directory's modules. */
function directoryWith (t: Test, files: Readonly<Record<string, string>>): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'fastkeep-config-')))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) writeFileSync(join(directory, name), text)
  return directory
}

function fileWith (t: Test, name: string, text: string): string {
  return join(directoryWith(t, { [name]: text }), name)
}

async function valuesOf (path: string): Promise<Record<string, unknown>> {
  return Object.fromEntries((await readConfigFile(path)).map(({ path, value }) => [path, value]))
}

test('the one configuration file of a directory is found, whatever its kind', async t => {
  for (const kind of ['js', 'mjs', 'ts', 'json']) {
    const name = `fastkeep.config.${kind}`
    const directory = directoryWith(t, { [name]: '', 'fastkeep.config.yaml': '', 'fastkeep.config.js.bak': '', 'config.json': '' })
    t.equal(findConfigFile(directory), join(directory, name))
  }
  t.equal(findConfigFile(directoryWith(t, {})), undefined)
})

test('two configuration files in one directory are refused and both named', async t => {
  const directory = directoryWith(t, { 'fastkeep.config.ts': '', 'fastkeep.config.json': '{}' })
  t.throws(() => findConfigFile(directory), {
    code: `${CODE}AMBIGUOUS`,
    exitCode: 78,
    message: `there is more than one configuration file in ${directory}: fastkeep.config.json, fastkeep.config.ts; keep one, or name the one that counts`,
  })
})

test('a directory or a file that cannot be read is refused with its path and the reason', async t => {
  const directory = directoryWith(t, {})
  const unreadable = { code: `${CODE}UNREADABLE`, exitCode: 78 }
  t.throws(() => findConfigFile(join(directory, 'none')), { ...unreadable, message: /none: ENOENT/ })
  for (const name of ['none.json', 'none.js', 'none.ts']) await t.rejects(readConfigFile(join(directory, name)), { ...unreadable, message: /ENOENT/ })
  mkdirSync(join(directory, 'folder.json'))
  await t.rejects(readConfigFile(join(directory, 'folder.json')), { ...unreadable, message: /EISDIR/ })
  symlinkSync('loop.json', join(directory, 'loop.json'))
  await t.rejects(readConfigFile(join(directory, 'loop.json')), { ...unreadable, message: /ELOOP/ })
  await t.rejects(readConfigFile(join(directory, 'shop.yaml')), { code: `${CODE}KIND_UNKNOWN`, message: /shop\.yaml contains: its name must end in \.js, \.mjs, \.ts, \.json/ })
})

test('a file without permission to read is refused', { skip: process.getuid?.() === 0 ? 'root may read everything' : false }, async t => {
  const path = fileWith(t, 'fastkeep.config.json', '{}')
  chmodSync(path, 0)
  await t.rejects(readConfigFile(path), { code: `${CODE}UNREADABLE`, message: /EACCES/ })
})

test('JSON gives nested options, permissions as octal digits, and every value knows its file', async t => {
  const path = fileWith(t, 'fastkeep.config.json', `\uFEFF{
    "port": 80, "host": ["::1"], "umask": "027", "user": 1000,
    "daemon": { "umask": "077" }, "drain": { "deadline": 1000 }, "signals": { "SIGHUP": "ignore" }
  }`)
  t.same(await valuesOf(path), {
    port: 80,
    host: ['::1'],
    umask: 0o027,
    user: 1000,
    daemon: true,
    'daemon.umask': 0o077,
    'drain.deadline': 1000,
    signals: true,
    'signals.SIGHUP': 'ignore',
  })
  for (const { origin } of await readConfigFile(path)) t.equal(origin, path)
  t.same(await valuesOf(fileWith(t, 'other.json', '{ "signals": false, "daemon": true }')), { signals: false, daemon: true })
})

test('what is not JSON is refused with line and column, and never quoted', async t => {
  const faults: Array<[text: string, position: string, what: string]> = [
    ['{\n  "port": 80,\n}', 'line 3, column 1', 'unexpected "}"'],
    ['{\n  "key": "hunter2"\n  "port": 80\n}', 'line 3, column 3', 'unexpected "\\""'],
    ['{"key": "hunter2', 'line 1, column 9', 'unexpected "\\""'],
    ['{"port": 080}', 'line 1, column 11', 'unexpected "8"'],
    ['{"port": tru}', 'line 1, column 10', 'unexpected "t"'],
    ["{'port': 1}", 'line 1, column 2', 'unexpected "\'"'],
    ['{}\r\n// hunter2', 'line 2, column 1', 'unexpected "/"'],
    ['{"port": 80', 'line 1, column 12', 'it ends too early'],
    ['', 'line 1, column 1', 'it ends too early'],
  ]
  for (const [text, position, what] of faults) {
    const path = fileWith(t, 'fastkeep.config.json', text)
    const error = await readConfigFile(path).catch(error => error as Error)
    t.match(error, { code: `${CODE}NOT_JSON`, exitCode: 78, message: `${path}, ${position}: not JSON: ${what}` }, text)
    t.notMatch(String((error as Error).stack) + String((error as Error).cause), /hunter2/)
  }
})

test('the place where a text stops being JSON is found whenever JSON.parse refuses it, and only then', async t => {
  const texts = ['{"a": [1, -2.5e+3, "x\\u00e9\\n", true, null, {}, []], "b": {"c": false}}', '[[],{"a":[]}]', ' "text" ', '0', '{"a":1,"a":2}']
  const strays = ['', ',', ':', ']', '}', '[', '{', '"', 'x', '1', ' ', '\u0001', '\u00a0', '-', '\\']
  const mutants = texts.flatMap(text => [...text].flatMap((_character, at) => strays.flatMap(stray => [
    text.slice(0, at) + stray + text.slice(at), text.slice(0, at) + stray + text.slice(at + 1), text.slice(0, at) + stray,
  ])))
  for (const text of new Set(mutants)) {
    const isJSON = isParsed(text)
    const offset = jsonErrorOffset(text)
    if (isJSON !== (offset === undefined)) t.fail(`${JSON.stringify(text)}: ${offset}`)
    if (offset !== undefined && offset > text.length) t.fail(`${JSON.stringify(text)}: outside`)
  }
  t.ok(mutants.length > 1000)
  t.equal(jsonErrorOffset('['.repeat(200_000)), 200_000, 'depth is no problem')
})

function isParsed (text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test('an option that no file may have, or with a wrong value, is refused with file, path and what is meant', async t => {
  const faults: Array<[text: string, what: string, message: RegExp]> = [
    ['{"prot": 80}', 'UNKNOWN', /json: unknown option "prot", did you mean "port"\?$/],
    ['{"drain": {"deadlin": 1}}', 'UNKNOWN', /unknown option "drain\.deadlin", did you mean "drain\.deadline"\?$/],
    ['{"drain.deadline": 1}', 'UNKNOWN', /unknown option "drain\.deadline", write it as an object in an object$/],
    ['{"__proto__": {"port": 80}}', 'UNKNOWN', /unknown option "__proto__"$/],
    ['{"constructor": 1}', 'UNKNOWN', /unknown option "constructor"/],
    ['{"port": "80"}', 'INVALID', /json: option "port" must be a whole number from 0 to 65535 \(TCP ports\), got "80"$/],
    ['{"port": null}', 'INVALID', /got null$/],
    ['{"port": {"a": 1}}', 'INVALID', /got an object$/],
    ['{"host": []}', 'INVALID', /option "host" must be .* got an array of 0$/],
    ['{"drain": 5}', 'INVALID', /option "drain" must be an object, got 5$/],
    ['{"daemon": "yes"}', 'INVALID', /option "daemon" must be a boolean or an object, got "yes"$/],
    ['{"umask": 27}', 'INVALID', /option "umask" must be a string of three octal digits .* got 27$/],
    ['{"umask": "99"}', 'INVALID', /option "umask" must be three octal digits .* got "99"$/],
    ['{"signals": {"SIGHUP": "relaod"}}', 'INVALID', /option "signals\.SIGHUP" must be .* did you mean "reload"\?$/],
    ['{"signals": {"SIGKILL": "exit"}}', 'UNKNOWN', /signals\.SIGKILL/],
    ['{"config": "other.json"}', 'INVALID', /option "config" cannot be set in the file itself$/],
    ['[]', 'NO_OPTIONS', /must contain an object of options, got an array of 0$/],
    ['null', 'NO_OPTIONS', /got null$/],
  ]
  for (const [text, what, message] of faults) {
    await t.rejects(readConfigFile(fileWith(t, 'fastkeep.config.json', text)), { code: CODE + what, exitCode: 78, message }, text)
  }
  t.equal(Object.hasOwn(Object.prototype, 'port'), false)
})

test('a secret in a file is not shown when it is wrong', async t => {
  const table: ConfigTable = { passphrase: { rule: secret(string()) } }
  await t.rejects(readConfigFile(fileWith(t, 'c.json', '{"passphrase": 40213}'), table), { message: /got something else \(not shown: it is secret\)$/ })
})

test('a module gives its default export, an object or what a function returns, at once or later', async t => {
  t.same(await valuesOf(fileWith(t, 'fastkeep.config.js', 'export default { port: 1, umask: 0o027, pidFile: undefined }')), { port: 1, umask: 0o027 })
  t.same(await valuesOf(fileWith(t, 'fastkeep.config.mjs', 'export default () => ({ port: 2 })')), { port: 2 })
  t.same(await valuesOf(fileWith(t, 'fastkeep.config.js', 'export default async () => ({ port: await 3 })')), { port: 3 })
  t.same(await valuesOf(fileWith(t, 'fastkeep.config.ts', 'export default { port: 4 as number }')), { port: 4 })
  const directory = directoryWith(t, { 'package.json': '{}', 'fastkeep.config.js': 'module.exports = { port: 5 }' })
  t.same(await valuesOf(join(directory, 'fastkeep.config.js')), { port: 5 }, 'CommonJS')
  const handlers = await valuesOf(fileWith(t, 'fastkeep.config.js', 'export default { signals: { SIGHUP () {} } }'))
  t.type(handlers['signals.SIGHUP'], 'function')
})

test('a path with spaces, per cent and question marks is imported', async t => {
  const path = fileWith(t, 'a b%20c?d#e.mjs', 'export default { port: 1 }')
  t.same(await valuesOf(path), { port: 1 })
})

test('a module that was changed is read anew', async t => {
  const path = fileWith(t, 'fastkeep.config.mjs', 'export default { port: 1 }')
  t.same(await valuesOf(path), { port: 1 })
  writeFileSync(path, 'export default { port: 2 }')
  utimesSync(path, 1, 1)
  t.same(await valuesOf(path), { port: 2 })
})

test('a module that fails is named with the reason and the place', async t => {
  const failed = { code: `${CODE}FAILED`, exitCode: 78 }
  const thrower = fileWith(t, 'fastkeep.config.js', 'export default () => {\n  throw new Error("no database")\n}')
  await t.rejects(readConfigFile(thrower), { ...failed, message: `the configuration file ${thrower} failed: no database (file://${thrower}:2:9)`, cause: { message: 'no database' } })
  await t.rejects(readConfigFile(fileWith(t, 'fastkeep.config.js', 'export default () => Promise.reject("a string")')), { ...failed, message: /failed: a string$/ })
  await t.rejects(readConfigFile(fileWith(t, 'fastkeep.config.js', 'import "./missing.js"')), { ...failed, message: /missing\.js/ })
  const broken = fileWith(t, 'fastkeep.config.mjs', 'export default {\n  port: 1,,\n}')
  await t.rejects(readConfigFile(broken), { ...failed, message: `the configuration file ${broken} failed: Unexpected token ','; "node --check ${broken}" shows where` })
})

test('a module without options is refused', async t => {
  const none = { code: `${CODE}NO_OPTIONS`, exitCode: 78 }
  await t.rejects(readConfigFile(fileWith(t, 'fastkeep.config.js', 'export const port = 1')), { ...none, message: /must export an object of options, or a function that returns one, by default, got undefined$/ })
  await t.rejects(readConfigFile(fileWith(t, 'fastkeep.config.js', 'export default () => 5')), { ...none, message: /got 5$/ })
  await t.rejects(readConfigFile(fileWith(t, 'fastkeep.config.js', 'export default { umask: "027" }')), { code: `${CODE}INVALID`, message: /must be .*, got "027"$/ })
})
