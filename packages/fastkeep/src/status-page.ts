import type { EngineStatus, WorkerStatus } from '@fastkeep/engine'
import { GREEN, painter, RED, YELLOW, type Paint } from './colours.js'

const DAY = 86_400

/** A certificate that ends within so many days is shown in colour. */
const SOON = 14

const MOST_CERTIFICATES = 5

/**
 * What a service says of itself, on one screen.
 *
 * @param now ms since the epoch, for how long certificates last
 */
export function statusPage (status: EngineStatus, { hasColours = false, now = Date.now() } = {}): string {
  const paint = painter(hasColours)
  const { workers, certificates } = status
  const rows: Array<readonly [string, string | undefined]> = [
    ['state', paint(printable(status.state), status.state === 'STARTED' ? GREEN : YELLOW)],
    ['pid', String(status.pid)],
    ['uptime', duration(status.uptime / 1_000)],
    ['workers', status.supervisor === undefined ? undefined : `${status.supervisor.target} wanted, generation ${status.supervisor.generation}${status.supervisor.crashLoop ? `, ${paint('they crash again and again', RED)}` : ''}`],
    ['serving', status.urls.length === 0 ? undefined : printable(status.urls.join('  '))],
    ['connections', String(status.connections)],
    ['requests', String(status.requests)],
    ['memory', megabytes(status.memory)],
    ['event loop', delayText(status.eventLoopDelay, paint)],
    ['draining', status.draining === undefined ? undefined : `${status.draining.connections} connections left, ${Math.ceil(status.draining.left / 1000)} s`],
    ['PID file', status.pidFile === undefined ? undefined : printable(status.pidFile)],
    ['version', printable(`fastkeep ${status.version}, Node ${status.node}`)],
    ...Array.isArray(certificates) ? certificateRows(certificates, now, paint) : [],
  ]
  const page = rows.flatMap(([name, value]) => value === undefined ? [] : [`${name.padEnd(13)}${value}`])
  return [...page, ...Array.isArray(workers) ? ['', ...workerTable(workers)] : []].join('\n')
}

const COLUMNS: ReadonlyArray<readonly [string, (worker: WorkerStatus) => string]> = [
  ['worker', ({ slot }) => String(slot)],
  ['pid', ({ pid }) => String(pid)],
  ['state', ({ state }) => state],
  ['generation', ({ generation }) => String(generation)],
  ['uptime', ({ uptime }) => duration(uptime / 1_000)],
  ['memory', ({ memory }) => megabytes(memory)],
  ['event loop', ({ eventLoopDelay }) => `${eventLoopDelay} ms`],
  ['requests', ({ requests }) => String(requests)],
  ['connections', ({ connections }) => String(connections)],
]

function workerTable (workers: readonly WorkerStatus[]): string[] {
  const rows = [COLUMNS.map(([title]) => title), ...workers.map(worker => COLUMNS.map(([, text]) => printable(text(worker))))]
  const widths = COLUMNS.map((_column, index) => Math.max(...rows.map(row => row[index]?.length ?? 0)))
  return rows.map(row => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ').trimEnd())
}

/** `3 d 4 h`, `4 h 12 min`, `12 min 5 s`, `5 s` */
export function duration (seconds: number): string {
  const units: ReadonlyArray<readonly [number, string]> = [[DAY, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']]
  const first = units.findIndex(([size]) => seconds >= size)
  if (first === -1) return '0 s'
  const parts = units.slice(first, first + 2).map(([size, unit], index) => {
    const rest = index === 0 ? seconds : seconds % (units[first]?.[0] ?? 1)
    return [Math.floor(rest / size), unit] as const
  })
  return parts.filter(([count], index) => index === 0 || count > 0).map(([count, unit]) => `${count} ${unit}`).join(' ')
}

function megabytes (bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`
}

function delayText (delay: number, paint: Paint): string {
  return paint(`${delay} ms late at most`, delay > 100 ? RED : delay > 20 ? YELLOW : GREEN)
}

/** Those that end first; one screen holds no thousand. */
function certificateRows (certificates: NonNullable<EngineStatus['certificates']>, now: number, paint: Paint): Array<readonly [string, string]> {
  const sorted = certificates.toSorted((one, other) => Date.parse(one.expires) - Date.parse(other.expires))
  return [
    ...sorted.slice(0, MOST_CERTIFICATES).map(({ name, expires }) => ['certificate', expiry(name, expires, now, paint)] as const),
    ...sorted.length > MOST_CERTIFICATES ? [['', `and ${sorted.length - MOST_CERTIFICATES} that end later`] as const] : [],
  ]
}

function expiry (name: string, expires: string, now: number, paint: Paint): string {
  const days = Math.floor((Date.parse(expires) - now) / (DAY * 1_000))
  const text = days < 0 ? `expired ${-days} days ago` : `${days} days left`
  return `${printable(name)}: ${paint(text, days < 0 ? RED : days < SOON ? YELLOW : GREEN)}`
}

/** What a service sends is not to command the terminal. */
function printable (text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}
