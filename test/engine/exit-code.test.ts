import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { readPIDFile } from '@fastkeep/engine'
import { runNode } from '../child.js'

const fixture = new URL('fixtures/exit-code.js', import.meta.url)

interface Row {
  event: string
  /** What CherryPy 18.8 does. */
  before: string
  /** Listener that does something, on which channel. */
  on?: string
  does?: string
  run?: 'start'
  /** Sent when a line has been written. */
  signals?: ReadonlyArray<readonly [after: string, signal: NodeJS.Signals]>
  code: number | null
  ran: readonly string[]
  /** Default: none. */
  pidFile?: 'stale'
  told?: RegExp
}

const START = ['start first', 'start second', 'start third', 'ready']
const STOP = ['stop first', 'stop second', 'stop third']
const EXIT = ['exit first', 'exit second', 'exit third', 'at exit']

const ROWS: readonly Row[] = [
  { event: 'SIGTERM', before: 'the same', signals: [['ready', 'SIGTERM']], code: 0, ran: [...START, ...STOP, ...EXIT] },
  { event: 'SIGINT', before: 'the same', signals: [['ready', 'SIGINT']], code: 0, ran: [...START, ...STOP, ...EXIT] },
  {
    event: 'a start listener throws',
    before: '70, after all other start listeners have run, and no exit handler of the process',
    on: 'start',
    does: 'throw',
    code: 70,
    ran: ['start first', 'start second', 'stop first', ...EXIT],
    told: /cannot start: second: is broken/,
  },
  {
    event: 'a start listener calls process.exit(0)',
    before: '70',
    on: 'start',
    does: 'exit 0',
    code: 70,
    ran: ['start first', 'start second', 'at exit'],
    told: /the process ended while the bus was STARTING: something called process\.exit\(\)/,
  },
  {
    event: 'a start listener calls process.exit(3)',
    before: '70: the code is lost',
    on: 'start',
    does: 'exit 3',
    code: 3,
    ran: ['start first', 'start second', 'at exit'],
  },
  {
    event: 'a start listener throws, then an exit listener calls process.exit(0)',
    before: '70',
    on: 'start,exit',
    does: 'throw,exit 0',
    code: 70,
    ran: ['start first', 'start second', 'stop first', 'exit first', 'exit second', 'at exit'],
    told: /cannot start: second: is broken[^]*the process ended while the bus was EXITING: something called process\.exit\(\)/,
  },
  {
    event: 'SIGTERM while a start listener is slow',
    before: '70',
    on: 'start',
    does: 'wait',
    signals: [['start second', 'SIGTERM']],
    code: 0,
    ran: ['start first', 'start second', 'stop second', 'stop first', ...EXIT],
  },
  {
    event: 'a stop listener throws',
    before: '70, the exit listeners never run, the PID file stays',
    on: 'stop',
    does: 'throw',
    signals: [['ready', 'SIGTERM']],
    code: 70,
    ran: [...START, ...STOP, ...EXIT],
    told: /did not stop cleanly: second: is broken/,
  },
  {
    event: 'a stop listener calls process.exit(3)',
    before: '3, the stop begins three times, the PID file stays',
    on: 'stop',
    does: 'exit 3',
    signals: [['ready', 'SIGTERM']],
    code: 3,
    ran: [...START, 'stop first', 'stop second', 'at exit'],
  },
  {
    event: 'an exit listener throws',
    before: '70',
    on: 'exit',
    does: 'throw',
    signals: [['ready', 'SIGTERM']],
    code: 70,
    ran: [...START, ...STOP, ...EXIT],
    told: /did not stop cleanly: second: is broken/,
  },
  {
    event: 'a second SIGTERM while a stop listener is slow',
    before: '0, the stop listeners run twice, one inside of the other',
    on: 'stop',
    does: 'wait',
    signals: [['ready', 'SIGTERM'], ['stop second', 'SIGTERM']],
    code: 0,
    ran: [...START, ...STOP, ...EXIT],
  },
  {
    event: 'two more signals while a stop listener hangs',
    before: 'three nested stops, and no end',
    on: 'stop',
    does: 'hang',
    signals: [['ready', 'SIGTERM'], ['stop second', 'SIGINT'], ['stop second', 'SIGTERM']],
    code: null,
    ran: [...START, 'stop first', 'stop second'],
    pidFile: 'stale',
  },
  {
    event: 'the main module ends without runToExit, and nothing keeps the process alive',
    before: '0, with a warning, after stop and exit',
    run: 'start',
    code: 0,
    ran: [...START, 'at exit'],
  },
]

async function check (t: Test, row: Row): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-exit-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const PID_FILE = join(folder, 'app.pid')
  const child = runNode(t, fixture, { PID_FILE, ON: row.on, DOES: row.does, RUN: row.run ?? 'runToExit' })
  for (const [after, signal] of row.signals ?? []) {
    await child.match(new RegExp(`^${after}\n`, 'm'))
    child.kill(signal)
  }
  const { code, signal } = await child.ended
  t.equal(code, row.code, row.event)
  if (code === null) t.ok(signal === 'SIGTERM' || signal === 'SIGINT', `killed by ${signal}`)
  t.same(child.output.split('\n').filter(line => /^(start|stop|exit|ready|at exit)/.test(line)), row.ran, row.event)
  t.equal(existsSync(PID_FILE) ? readPIDFile(PID_FILE).state : undefined, row.pidFile, row.event)
  if (row.told !== undefined) t.match(child.output, row.told)
  else t.notMatch(child.output, /fastkeep:/)
}

test('every way to end a process has its exit code, runs the listeners that are owed, and leaves no PID file but after a kill', async t => {
  await Promise.all(ROWS.map(row => check(t, row)))
})
