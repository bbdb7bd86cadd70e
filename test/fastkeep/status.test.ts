import { writeFileSync } from 'node:fs'
import { test } from 'tap'
import { statusPage } from 'fastkeep'
import { type EngineStatus } from '@fastkeep/engine'
import { Child, plainEnvironment } from '../child.js'
import { needs } from '../programs.js'
import { CLI, Project } from './project.js'

const STATUS: EngineStatus = {
  state: 'STARTED',
  pid: 12,
  uptime: 93_784_000,
  version: '0.1.0',
  node: 'v24.1.0',
  urls: ['https://127.0.0.1:8443'],
  connections: 3,
  requests: 40,
  memory: 104_857_600,
  eventLoopDelay: 1.2,
  pidFile: '/run/shop.pid',
}

test('status shows what a running service says of itself, with 0, and as JSON what it said', async t => {
  const project = new Project(t)
  const { child, url } = await project.start('plugin.mjs')
  const page = await project.run(['status', '--pid-file', project.pidFile])
  t.equal(page.code, 0)
  t.match(page.output, new RegExp(`^state +STARTED\\npid +${child.pid}\\nuptime +\\d+ s\\nserving +${url}\\n`))
  t.notMatch(page.output, '\u001b', 'no colours but on a terminal')
  const json = await project.run(['status', '--control-socket', `${project.pidFile}.sock`, '--json'])
  t.match(JSON.parse(json.output), { pid: child.pid, urls: [url] })
})

test('status ends with 3 for what is stopped, 1 for what died, 4 for what cannot be told', async t => {
  const project = new Project(t)
  const stopped = await project.run(['status', '--pid-file', project.pidFile])
  t.equal(stopped.code, 3)
  t.match(stopped.output, /^stopped: /)
  t.same(JSON.parse((await project.run(['status', '--pid-file', project.pidFile, '--json'])).output).exitCode, 3)

  const { child } = await project.start('plugin.mjs')
  process.kill(child.pid, 'SIGKILL')
  await child.ended
  const dead = await project.run(['status', '--pid-file', project.pidFile])
  t.equal(dead.code, 1)
  t.match(dead.output, /^dead: .* was left behind: process \d+ does not exist/)

  writeFileSync(project.path('foreign.pid'), 'not a pid')
  const unknown = await project.run(['status', '--pid-file', 'foreign.pid'])
  t.equal(unknown.code, 4)
  t.match(unknown.output, /^unknown: /)
})

test('a service without a control socket is told to run by its PID file', async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs', ['--control-socket', 'none'])
  const { code, output } = await project.run(['status', '--pid-file', project.pidFile])
  t.equal(code, 0)
  t.match(output, `running: process ${child.pid}`)
})

test('a service that does not answer any more is unknown', { timeout: 60_000 }, async t => {
  const project = new Project(t)
  const { child } = await project.start('plugin.mjs')
  process.kill(child.pid, 'SIGSTOP')
  const { code, output } = await project.run(['status', '--pid-file', project.pidFile])
  process.kill(child.pid, 'SIGCONT')
  t.equal(code, 4)
  t.match(output, /has said nothing/)
})

test('colours are for terminals, and not where NO_COLOR is set', { skip: needs('script') }, async t => {
  const project = new Project(t)
  await project.start('plugin.mjs')
  const command = `${process.execPath} ${CLI} status --pid-file ${project.pidFile}`
  for (const [NO_COLOR, hasColours] of [['', true], ['1', false]] as const) {
    const terminal = new Child(t, 'script', ['-qec', command, '/dev/null'], { env: { ...plainEnvironment(), TERM: 'xterm', NO_COLOR } })
    await terminal.ended
    t.equal(terminal.output.includes('\u001b[32mSTARTED'), hasColours)
  }
})

test('the page has a line for each thing that is known', t => {
  t.equal(statusPage(STATUS), `state        STARTED
pid          12
uptime       1 d 2 h
serving      https://127.0.0.1:8443
connections  3
requests     40
memory       100 MiB
event loop   1.2 ms late at most
PID file     /run/shop.pid
version      fastkeep 0.1.0, Node v24.1.0`)
  t.end()
})

test('the page has workers, certificates and the drain where there are some', t => {
  const page = statusPage({
    ...STATUS,
    draining: { connections: 12, left: 7_400 },
    certificates: [{ name: 'shop.example', expires: '2026-01-11T00:00:00Z' }, { name: 'old.example', expires: '2025-12-30T00:00:00Z' }],
    workers: [{ slot: 1, pid: 20, state: 'ready', generation: 3, uptime: 65_000, memory: 52_428_800, eventLoopDelay: 2, requests: 10, connections: 1, isPaused: false }, { slot: 2, pid: 21, state: 'starting', generation: 4, uptime: 0, memory: 0, eventLoopDelay: 0, requests: 0, connections: 0, isPaused: false }],
  }, { now: Date.parse('2026-01-01T00:00:00Z') })
  t.match(page, 'draining     12 connections left, 8 s')
  t.match(page, 'certificate  shop.example: 10 days left')
  t.match(page, 'certificate  old.example: expired 2 days ago')
  t.match(page, `worker  pid  state     generation  uptime     memory  event loop  requests  connections
1       20   ready     3           1 min 5 s  50 MiB  2 ms        10        1
2       21   starting  4           0 s        0 MiB   0 ms        0         0`)
  t.end()
})

test('what a service says of itself does not command the terminal', t => {
  const page = statusPage({ ...STATUS, urls: ['http://\u001b[2J\u001b[31mx\n'] }, { hasColours: true })
  t.notMatch(page, '\u001b[2J')
  t.notMatch(page, '\u001b[2Jx')
  t.match(page, '\u001b[32mSTARTED\u001b[0m')
  t.end()
})
