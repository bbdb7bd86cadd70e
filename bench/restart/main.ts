import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createDevelopmentCertificate } from '@fastkeep/tls-context'
import { machine } from '../engine/machine.js'
import { loads, THINK } from './loads.js'
import { durationOf, lossTable, misses, timeTable } from './markdown.js'
import { SCENARIOS } from './ours.js'
import { PEERS } from './peers/index.js'
import { freePorts } from './ports.js'
import { run as runScenario, type Outcome, type Plan } from './run.js'
import type { Scenario, Site } from './service.js'
import { soak } from './soak.js'
import { speed } from './speed.js'

const OPTIONS = {
  full: { type: 'boolean' },
  soak: { type: 'boolean' },
  speed: { type: 'boolean' },
  only: { type: 'string', multiple: true },
  times: { type: 'string' },
  seconds: { type: 'string' },
  quiet: { type: 'string' },
  'keep-alive-timeout': { type: 'string' },
  workers: { type: 'string' },
} as const

/** How often each is done with `--full`, and with neither `--full` nor `--times`. */
const TIMES: Readonly<Record<string, readonly [full: number, short: number]>> = {
  'restart in place': [100, 5],
  'rolling reload': [100, 4],
  'worker killed': [60, 10],
  'bad deploy': [20, 4],
  'supervisor upgrade': [20, 3],
}
const TIMES_OF_PEERS = [20, 3] as const

/** ms between two acts: short enough for generations to overlap. */
const INTERVAL = 2_000
const INTERVAL_OF_FULL = 5_000
const INTERVAL_OF_KILLS = 1_000

const WARM_UP = 2_000

/** ms; longer than the keep-alive window, in which the last generation drains. */
const AFTERMATH = 6_000

/**
 * Restarts under load, side by side with the peers that are installed. One Markdown table of what was lost, one of the
 * times that answers took.
 *
 * @param args `--full`, `--soak`, `--speed` (these two alone unless `--only` is there too); `--only <part of a name>`
 *   once or more; `--times`, `--seconds` (the most that a scenario goes on), `--quiet` (s), `--keep-alive-timeout` (ms),
 *   `--workers`
 * @returns 0 all that is owed of ours was reached, 1 not, 64 wrong arguments
 */
export async function run (args: readonly string[]): Promise<number> {
  let given: ReturnType<typeof parse>
  try {
    given = parse(args)
  } catch (error) {
    process.stderr.write(`bench restart: ${(error as Error).message}\n`)
    return 64
  }
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-bench-restart-'))
  try {
    return await runIn(directory, given)
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

type Given = ReturnType<typeof parse>

function parse (args: readonly string[]) {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true })
  const number = (name: 'times' | 'seconds' | 'quiet' | 'keep-alive-timeout' | 'workers', otherwise: number): number => {
    const text = values[name]
    if (text !== undefined && !/^[1-9]\d*$/.test(text)) throw new Error(`--${name} needs a whole number, not ${text}`)
    return text === undefined ? otherwise : Number(text)
  }
  const isFull = values.full === true
  const only = values.only ?? []
  const scenarios = [...SCENARIOS, ...PEERS].filter(({ name }) => only.length === 0 || only.some(part => name.includes(part)))
  if (scenarios.length === 0) throw new Error(`there is no scenario of that name. There is: ${[...SCENARIOS, ...PEERS].map(({ name }) => name).join('; ')}`)
  return {
    isFull,
    isSoak: values.soak === true,
    isSpeed: values.speed === true,
    isPartial: only.length > 0,
    scenarios: only.length === 0 && (values.soak === true || values.speed === true) ? [] : scenarios,
    times: values.times === undefined ? undefined : number('times', 1),
    seconds: number('seconds', isFull || values.soak === true ? 600 : 120),
    quiet: number('quiet', isFull ? 30 : 10),
    keepAliveTimeout: number('keep-alive-timeout', 5_000),
    workers: number('workers', 2),
  }
}

async function runIn (directory: string, given: Given): Promise<number> {
  const { ca: caFile } = await createDevelopmentCertificate({ directory })
  writeFileSync(join(directory, 'tickets'), randomBytes(48), { mode: 0o600 })
  const site: Site = { ports: await freePorts(), directory, keepAliveTimeout: given.keepAliveTimeout, workers: given.workers }
  const all = loads(site, readFileSync(caFile, 'utf8'))
  const before = machine()
  const outcomes: Outcome[] = []
  const notRun: string[] = []
  for (const scenario of given.scenarios) {
    const outcome = await tried(scenario, site, given, all)
    if (typeof outcome === 'string') notRun.push(`${scenario.name}: ${outcome}`)
    else outcomes.push(outcome)
  }
  const missed = outcomes.filter(({ scenario }) => SCENARIOS.includes(scenario)).flatMap(outcome => misses(outcome).map(miss => `${outcome.scenario.name}, ${miss}`))
  const ours = new Set(SCENARIOS.map(({ name }) => name))
  missed.push(...notRun.filter(text => ours.has(text.split(':')[0] ?? '')))
  console.log(`${before}; at the end ${machine()}\nkeepAliveTimeout ${given.keepAliveTimeout} ms, clients think for up to ${THINK} ms, ${given.workers} workers`)
  if (outcomes.length + notRun.length > 0) {
    const names = Object.keys(all)
    console.log(`\nLost / asked${notRun.length > 0 || given.isPartial ? ' (INCOMPLETE: not all have run)' : ''}\n\n${lossTable(names, outcomes, notRun)}\n\n${timeTable(names, outcomes)}\n`)
    for (const outcome of outcomes) console.log(`- ${outcome.scenario.name}: ${[`took ${durationOf(outcome)}`, `loads took ${Math.round(outcome.loaderShare * 100)} % of one core`, ...outcome.notes].join('; ')}`)
  }
  for (const part of [...given.isSoak ? [() => soak(site, given.seconds, all)] : [], ...given.isSpeed ? [() => speed(site, given.isFull ? 10 : 3)] : []]) {
    const { text, misses } = await part()
    missed.push(...misses)
    console.log(`\n${text}`)
  }
  const areOursAsked = given.isSoak || given.isSpeed || given.scenarios.some(scenario => SCENARIOS.includes(scenario))
  if (areOursAsked) console.log(missed.length === 0 ? '\nAll that is owed was reached.' : `\nMissed:\n${missed.map(miss => `- ${miss}`).join('\n')}`)
  return missed.length === 0 ? 0 : 1
}

async function tried (scenario: Scenario, site: Site, given: Given, all: ReturnType<typeof loads>): Promise<Outcome | string> {
  const version = await scenario.version()
  if (version === undefined) return 'not installed'
  process.stderr.write(`bench restart: ${scenario.name}\n`)
  try {
    return await runScenario(scenario, version, site, planOf(scenario, given), all)
  } catch (error) {
    return `failed: ${(error as Error).message.split('\n')[0]}`
  }
}

function planOf ({ name, kills }: Scenario, { isFull, times, seconds, quiet }: Given): Plan {
  const [full, short] = TIMES[name] ?? TIMES_OF_PEERS
  return {
    times: times ?? (isFull ? full : short),
    interval: kills === true ? INTERVAL_OF_KILLS : isFull ? INTERVAL_OF_FULL : INTERVAL,
    longest: seconds * 1000,
    warmUp: WARM_UP,
    quiet: quiet * 1000,
    aftermath: AFTERMATH,
  }
}
