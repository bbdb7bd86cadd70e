import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { Child, plainEnvironment, runNode } from '../child.js'

const configured = new URL('fixtures/configured.js', import.meta.url)

function directoryWith (t: Test, name: string, text: string): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'fastkeep-config-')))
  t.teardown(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  writeFileSync(join(directory, name), text)
  return directory
}

/** The options that a process comes to, and the whole of its output. */
async function optionsIn (t: Test, environment: NodeJS.ProcessEnv, ...args: string[]): Promise<[unknown, string]> {
  const child = runNode(t, configured, environment, args)
  t.same(await child.ended, { code: 0, signal: null }, child.output)
  return [JSON.parse(child.output.split('\n')[0] as string), child.output]
}

test('a process takes code over flags over its environment over the file over the defaults, and says so', async t => {
  const DIRECTORY = directoryWith(t, 'fastkeep.config.js', 'export default { port: 1, restartTimeout: 1, pidFile: "/1", user: "file", drain: { idleWindow: 1 } }')
  const CODE = JSON.stringify({ port: 4 })
  const environment = { DIRECTORY, CODE, FASTKEEP_PORT: '2', FASTKEEP_RESTART_TIMEOUT: '2', FASTKEEP_PID_FILE: '/2', FASTKEEP_SESSION_KEYS: 'hunter2' }
  const [options, output] = await optionsIn(t, environment, '--port', '3', '--restart-timeout', '3')
  t.same(options, { port: 4, restartTimeout: 3, pidFile: '/2', user: 'file', drain: { idleWindow: 1 } })
  for (const line of [
    /^port +4 +code$/m, /^restartTimeout +3 +flags \(--restart-timeout\)$/m, /^pidFile +\/2 +environment \(FASTKEEP_PID_FILE\)$/m,
    /^user +file +file \(.*fastkeep\.config\.js\)$/m, /^drain\.deadline +25000 +default$/m,
  ]) t.match(output, line)
  t.notMatch(output, /hunter2/)
})

test('environment: false ignores the environment altogether, its mistakes and the file that it names, too', async t => {
  const directory = directoryWith(t, 'other.json', '{"port": 1}')
  const FASTKEEP_CONFIG = join(directory, 'other.json')
  t.same((await optionsIn(t, { FASTKEEP_CONFIG }))[0], { config: FASTKEEP_CONFIG, port: 1 })
  const CODE = '{"environment":false}'
  t.same((await optionsIn(t, { CODE, FASTKEEP_CONFIG, FASTKEEP_PROT: '1', FASTKEEP_PORT: 'x' }))[0], {})
})

test('the file is the one that is named, by flag before environment, and else the one that is found', async t => {
  const DIRECTORY = directoryWith(t, 'fastkeep.config.json', '{"port": 1}')
  const named = (port: number): string => {
    const path = join(DIRECTORY, `${port}.json`)
    writeFileSync(path, JSON.stringify({ port }))
    return path
  }
  t.same((await optionsIn(t, { DIRECTORY }))[0], { port: 1 })
  const FASTKEEP_CONFIG = named(2)
  t.match((await optionsIn(t, { DIRECTORY, FASTKEEP_CONFIG }))[0], { port: 2 })
  t.match((await optionsIn(t, { DIRECTORY, FASTKEEP_CONFIG }, '--config', named(3)))[0], { port: 3 })
  t.match((await optionsIn(t, { DIRECTORY, FASTKEEP_CONFIG, CODE: JSON.stringify({ config: named(4) }) }))[0], { port: 4 })
})

test('what is wrong in the environment, in a file or in a locked program ends with 78, in the flags with 64', async t => {
  const DIRECTORY = directoryWith(t, 'fastkeep.config.json', '{"port": 99999}')
  const CODE = '{"port":1,"lock":true}'
  const outcomes: Array<[env: NodeJS.ProcessEnv, args: string[], code: number, what: string]> = [
    [{ FASTKEEP_PORT: 'http' }, [], 78, 'VARIABLE_INVALID'],
    [{ FASTKEEP_PROT: '80' }, [], 78, 'VARIABLE_UNKNOWN'],
    [{ DIRECTORY }, [], 78, 'FILE_INVALID'],
    [{ FASTKEEP_CONFIG: '/nowhere.json' }, [], 78, 'FILE_UNREADABLE'],
    [{ CODE, FASTKEEP_PORT: '1' }, [], 78, 'VARIABLE_LOCKED'],
    [{ CODE }, ['--port', '1'], 64, 'FLAG_LOCKED'],
    [{}, ['--prot', '1'], 64, 'FLAG_UNKNOWN'],
  ]
  for (const [env, args, code, what] of outcomes) {
    const child = runNode(t, configured, env, args)
    t.same(await child.ended, { code, signal: null })
    t.match(child.output, new RegExp(`^FST_KEEP_ENGINE_CONFIG_${what}: .+\n$`))
  }
})

test('a TypeScript file works where Node or a loader runs it, and else the error says what to do', async t => {
  const run = async (text: string, ...nodeOptions: string[]): Promise<string> => {
    const env = { ...plainEnvironment(), DIRECTORY: directoryWith(t, 'fastkeep.config.ts', text) }
    const child = new Child(t, process.execPath, [...nodeOptions, fileURLToPath(configured)], { env })
    await child.ended
    return child.output
  }
  const tsx = `--import=${import.meta.resolve('tsx')}`
  t.match(await run('enum Port { http = 80 }\nexport default { port: Port.http as number }', tsx), '{"port":80}\n')
  const advice = /^FST_KEEP_ENGINE_CONFIG_FILE_TYPESCRIPT: Node v[\d.]+ cannot run the configuration file .*fastkeep\.config\.ts: .* --import tsx/
  t.match(await run('enum Port { http = 80 }\nexport default { port: Port.http }'), advice, 'no Node runs enums by itself')
  const isStripped = (process.features as { typescript?: unknown }).typescript === 'strip'
  t.match(await run('export default { port: 80 as number }'), isStripped ? /\{"port":80\}/ : advice)
})
