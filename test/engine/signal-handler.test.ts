import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Child, plainEnvironment, runNode } from '../child.js'
import { needs } from '../programs.js'

const service = new URL('fixtures/plugin-options.js', import.meta.url)
const terminal = fileURLToPath(new URL('fixtures/terminal.py', import.meta.url))
const major = Number(process.versions.node.split('.')[0])

function place (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-signals-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'app.pid')
}

for (const logger of ['', 'true']) {
  test(`the hang-up of its terminal ends a service in order, ${logger === '' ? 'silent' : 'though its log can be written no more'}`, { skip: needs('python3') }, async t => {
    const pidFile = place(t)
    const env = { ...plainEnvironment(), FASTKEEP_PID_FILE: pidFile, LOGGER: logger }
    const child = new Child(t, 'python3', [terminal, process.execPath, fileURLToPath(service)], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const [, url] = await child.match(/serving \d+ on (\S+)/) as unknown as [string, string]
    t.equal((await fetch(url)).status, 200)
    child.process.stdin?.end()
    await child.ended
    // Node 20 aborts as the last thing that it does, when it cannot restore the terminal.
    t.match(child.output, major < 22 ? /ended with/ : /ended with 0\n$/)
    t.equal(existsSync(pidFile), false, 'its exit listeners have run')
    await t.rejects(fetch(url), 'no successor serves in its place')
  })
}

test('where there is no terminal SIGHUP replaces the process', async t => {
  const child = runNode(t, service, {}, [], { detached: true })
  const [, first] = await child.match(/serving (\d+) on/) as unknown as [string, string]
  child.kill('SIGHUP')
  await child.match(new RegExp(`serving (?!${first} )\\d+ on`))
  await child.match(new RegExp(`exit ${first}`))
})

test('SIGUSR1 opens the inspector of a plain process, and never that of one with the engine', async t => {
  const plain = new Child(t, process.execPath, ['--inspect-port=0', '-e', 'setInterval(() => {}, 1000); console.log("up")'])
  await plain.match(/up/)
  plain.kill('SIGUSR1')
  await plain.match(/Debugger listening/)
  const guarded = new Child(t, process.execPath, ['--inspect-port=0', fileURLToPath(service)], { env: { ...plainEnvironment(), LOGGER: 'true' } })
  await guarded.match(/serving/)
  guarded.kill('SIGUSR1')
  await guarded.match(/Bus graceful/)
  guarded.kill('SIGTERM')
  t.match(await guarded.ended, { code: 0 })
  t.notMatch(guarded.output, /Debugger listening/)
})

test('a Node that keeps SIGUSR1 from the process is told of', { skip: major < 22 && 'this Node has no such flag' }, async t => {
  const child = new Child(t, process.execPath, ['--disable-sigusr1', fileURLToPath(service)], { env: { ...plainEnvironment(), LOGGER: 'true' } })
  await child.match(/FST_KEEP_ENGINE_SIGNAL_BLOCKED.*SIGUSR1 does nothing/)
  await child.match(/serving/)
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
})
