import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Child, plainEnvironment } from '../child.js'
import { needs, needsRoot } from '../programs.js'

const restartable = fileURLToPath(new URL('fixtures/restartable.js', import.meta.url))
const skip = needs('unshare') || needs('pgrep') || needsRoot()

/** A command as process 1 of a PID namespace of its own. */
function container (t: Test, command: readonly string[]): Child {
  return new Child(t, 'unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', ...command], { env: plainEnvironment() })
}

/** The only child of a process, by the number that it has here. */
function childOf (pid: number): number {
  return Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }))
}

test('process 1 of a container refuses a restart, and drains and ends with 0 on SIGTERM', { skip }, async t => {
  const child = container(t, [process.execPath, restartable])
  await child.match(/serving 1 generation/)
  const service = childOf(child.pid)
  process.kill(service, 'SIGHUP')
  await child.match(/error: .*process 1 of a container cannot leave its place to another one; replace the container/)
  process.kill(service, 'SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
})

test('what the init of a container was told to start refuses a restart: the container would end with it', { skip }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-container-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const tini = join(folder, 'tini')
  copyFileSync('/bin/sh', tini)
  const child = container(t, [tini, '-c', '"$0" "$1" & wait $!', process.execPath, restartable])
  await child.match(/serving \d+ generation/)
  const service = childOf(childOf(child.pid))
  process.kill(service, 'SIGHUP')
  await child.match(/error: .*tini ends the container with this process; replace the container/)
  process.kill(service, 'SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
})
