import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { readPIDFile } from '@fastkeep/engine'
import { Child, plainEnvironment } from '../child.js'
import { needs } from '../programs.js'
import { CLI, Project } from './project.js'

test('stop waits until what is under way is finished, and the process has ended', async t => {
  const project = new Project(t)
  const { child, url } = await project.start('plugin.mjs')
  const slow = fetch(`${url}/slow`)
  while ((await (await fetch(url)).json() as { pid: number }).pid !== child.pid);
  const stopped = await project.run(['stop', '--pid-file', project.pidFile])
  t.equal(await (await slow).text(), 'slow')
  t.same(stopped, { code: 0, output: 'stopped\n' })
  t.same(await child.ended, { code: 0, signal: null })
  t.notOk(existsSync(project.pidFile))
})

test('stop tells with 70 that the drain cut a request', async t => {
  const project = new Project(t)
  const { child, url } = await project.start('plugin.mjs', ['--drain-deadline', '100', '--drain-idle-window', '10'])
  const slow = fetch(`${url}/slow`).then(answer => answer.text()).catch(() => 'cut')
  await child.match(/"url":"\/slow"/)
  const { code, output } = await project.run(['stop', '--pid-file', project.pidFile])
  t.equal(code, 70)
  t.match(output, /drain deadline of 100 ms cut 1 request: GET \/slow/)
  t.equal(await slow, 'cut')
  t.equal((await child.ended).code, 70)
})

test('on a terminal the drain is shown as it goes on', { skip: needs('script') }, async t => {
  const project = new Project(t)
  const { child, url } = await project.start('plugin.mjs', ['--drain-idle-window', '10'])
  const slow = fetch(`${url}/slow`)
  await child.match(/"url":"\/slow"/)
  const terminal = new Child(t, 'script', ['-qec', `${process.execPath} ${CLI} stop --pid-file ${project.pidFile}`, '/dev/null'], { env: plainEnvironment() })
  t.equal((await terminal.ended).code, 0)
  t.match(terminal.output, /stop: 1 of 1 connections left, \d+ s/)
  t.match(terminal.output, '\r\u001b[Kstopped')
  await slow
})

test('stop without a control socket sends SIGTERM to the process that holds the PID file, and waits for its end', async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs', ['--control-socket', 'none'])
  const { code, output } = await project.run(['stop', '--pid-file', project.pidFile, '--control-socket', 'none'])
  t.equal(code, 0)
  t.match(output, 'stopped by a signal')
  t.same(await child.ended, { code: 0, signal: null })
})

test('a service can be stopped whose configuration file has been spoilt since', async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs')
  writeFileSync(project.path('fastkeep.config.json'), '{ "prot": 80 }')
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 78)
  t.equal((await project.run(['stop', '--pid-file', project.pidFile, '--control-socket', `${project.pidFile}.sock`])).code, 0)
  t.same(await child.ended, { code: 0, signal: null })
})

test('stop signals nobody whom a PID file names that he does not hold', async t => {
  const project = new Project(t)
  const bystander = new Child(t, 'sleep', ['60'])
  writeFileSync(project.pidFile, `${bystander.pid}\n`)
  t.equal(readPIDFile(project.pidFile).state, 'running')
  const { code, output } = await project.run(['stop', '--pid-file', project.pidFile])
  t.equal(code, 69)
  t.match(output, 'no running instance')
  t.equal(bystander.process.exitCode, null)
  t.equal(bystander.process.signalCode, null)
})

test('every command that needs a running instance ends with 69 where there is none, with 64 where none is named', async t => {
  const project = new Project(t)
  for (const command of [['stop'], ['reload'], ['restart'], ['graceful'], ['scale', '2']]) {
    const { code, output } = await project.run([...command, '--pid-file', project.pidFile])
    t.equal(code, 69, command.join(' '))
    t.match(output, 'no running instance')
    t.equal((await project.run(command)).code, 64)
  }
})

test('reload answers when the successor serves, and a reload that fails leaves the service and says why, with the code of what failed', async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs')
  const reloaded = await project.run(['reload', '--pid-file', project.pidFile])
  t.equal(reloaded.code, 0)
  const [, before, now] = /process (\d+) drains, process (\d+) serves/.exec(reloaded.output) as unknown as [string, string, string]
  t.equal(Number(before), child.pid)
  t.same(readPIDFile(project.pidFile), { state: 'running', pid: Number(now) })

  rmSync(project.path('plugin.mjs'))
  const failed = await project.run(['restart', '--pid-file', project.pidFile])
  t.equal(failed.code, 78)
  t.match(failed.output, /this process goes on serving/)
  t.same(readPIDFile(project.pidFile), { state: 'running', pid: Number(now) })
  t.equal((await project.run(['stop', '--pid-file', project.pidFile])).code, 0)
})

test('a service of one process has no workers to scale', async t => {
  const project = new Project(t)
  await project.start('plugin.mjs')
  const { code, output } = await project.run(['scale', '2', '--pid-file', project.pidFile])
  t.equal(code, 64)
  t.match(output, /one process and has no workers/)
  t.equal((await project.run(['scale', 'two', '--pid-file', project.pidFile])).code, 64)
})
