import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { endOther, leaveAlone, Program, watchOver, type ProgramOptions } from '../engine/program.js'
import { median } from '../engine/statistics.js'
import { childrenOf } from './children.js'
import { openSockets } from './ports.js'
import type { Scenario, Site } from './service.js'

const VERSION = `Node ${process.version}`

const COMMAND = fileURLToPath(new URL('../../packages/fastkeep/dist/cli.js', import.meta.url))

/** ms after a kill. */
const WHOLE_WITHIN = 1_000

/** A process that hands its sockets to a successor. */
export const inPlace: Scenario = {
  name: 'restart in place',
  version: async () => VERSION,
  start: async site => {
    const first = await launch(site, 'service')
    await first.next(/serving as \d+/)
    let serving = first.pid
    return {
      act: async () => {
        process.kill(serving, 'SIGHUP')
        leaveAlone(serving)
        serving = Number((await first.next(/serving as (\d+)/))[1])
        watchOver(serving)
      },
      end: async () => await endAll(first, serving),
    }
  },
}

/** All workers anew, one after the other. */
export const rollingReload: Scenario = {
  name: 'rolling reload',
  version: async () => VERSION,
  start: async site => {
    const service = await superviseAndChange(site)
    return { pid: service.pid, act: service.reload, end: service.end }
  },
}

/** A worker is killed; resolves when all are there again. */
export const workerKilled: Scenario = {
  name: 'worker killed',
  kills: true,
  version: async () => VERSION,
  start: async site => {
    const supervisor = await supervise(site)
    const wholeAfter: number[] = []
    return {
      pid: supervisor.pid,
      act: async () => {
        const workers = childrenOf(supervisor.pid)
        const victim = workers[Math.floor(Math.random() * workers.length)]
        if (victim === undefined) throw new Error('there is no worker to kill')
        const start = performance.now()
        process.kill(victim, 'SIGKILL')
        await supervisor.next(/Worker \d+ \(\d+\) ended with SIGKILL/)
        await supervisor.next(/Worker \d+ \(\d+\) serves/)
        wholeAfter.push(Math.round(performance.now() - start))
      },
      end: async () => { await supervisor.end() },
      missed: () => median(wholeAfter) > WHOLE_WITHIN ? [`whole again after ${median(wholeAfter)} ms`] : [],
      notes: () => [`whole again after ${median(wholeAfter)} ms (median), ${Math.max(...wholeAfter)} ms (longest) of ${wholeAfter.length}`],
    }
  },
}

/** A release whose workers cannot start. */
export const badDeploy: Scenario = {
  name: 'bad deploy',
  version: async () => VERSION,
  start: async site => {
    // What the workers say of their failure comes through the supervisor too.
    const supervisor = await supervise(site, { isQuiet: true })
    let refusals = 0
    return {
      pid: supervisor.pid,
      act: async () => {
        writeFileSync(generationFile(site), 'bad')
        supervisor.process.kill('SIGHUP')
        await supervisor.next(/the present workers go on serving: .*no database for this version/)
        writeFileSync(generationFile(site), 'good')
        refusals++
      },
      end: async () => { await supervisor.end() },
      notes: () => [`${refusals} releases refused`],
    }
  },
}

/** The supervisor is replaced, workers and all. */
export const supervisorUpgrade: Scenario = {
  name: 'supervisor upgrade',
  version: async () => VERSION,
  start: async site => {
    const service = await superviseAndChange(site)
    return { act: service.upgrade, end: service.end }
  },
}

export const SCENARIOS: readonly Scenario[] = [inPlace, rollingReload, workerKilled, badDeploy, supervisorUpgrade]

/** @returns the supervisor of a service that serves */
export async function supervise (site: Site, options?: ProgramOptions): Promise<Program> {
  const supervisor = await launch(site, 'supervisor', options)
  await supervisor.next(/supervising as \d+/)
  return supervisor
}

/** A service with workers, and what its operator does to it. */
export interface Changeable {
  /** Of the supervisor that is in charge now. */
  readonly pid: number
  reload: () => Promise<void>
  upgrade: () => Promise<void>
  /** By the command. */
  scale: (workers: number) => Promise<void>
  end: () => Promise<void>
}

export async function superviseAndChange (site: Site): Promise<Changeable> {
  const first = await supervise(site)
  let present = first.pid
  return {
    get pid () { return present },
    reload: async () => {
      process.kill(present, 'SIGHUP')
      await first.next(/All \d+ workers are new/)
    },
    upgrade: async () => {
      process.kill(present, 'SIGUSR2')
      leaveAlone(present)
      present = Number((await first.next(/supervising as (\d+)/))[1])
      watchOver(present)
    },
    scale: async workers => {
      const { code } = await new Program([COMMAND, 'scale', String(workers), '--control-socket', controlSocket(site)], {}, { isQuiet: true }).ended
      if (code !== 0) throw new Error(`fastkeep scale ${workers} ended with ${code}`)
    },
    end: async () => await endAll(first, present),
  }
}

/** With its sockets, as systemd passes them. */
async function launch (site: Site, program: string, options?: ProgramOptions): Promise<Program> {
  writeFileSync(generationFile(site), 'good')
  const { descriptors, names, letGo } = await openSockets(site.ports)
  const file = fileURLToPath(new URL(`programs/${program}.js`, import.meta.url))
  const started = new Program(['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, file], {
    LISTEN_FDS: String(descriptors.length),
    LISTEN_FDNAMES: names,
    KEEP_ALIVE_TIMEOUT: String(site.keepAliveTimeout),
    TLS_FILES: site.directory,
    CONTROL_SOCKET: controlSocket(site),
    GENERATION: generationFile(site),
    WORKERS: String(site.workers),
  }, { ...options, command: '/bin/sh', descriptors })
  await letGo()
  return started
}

function generationFile ({ directory }: Site): string {
  return join(directory, 'generation')
}

function controlSocket ({ directory }: Site): string {
  return join(directory, 'control')
}

/** The first process of a row of successors, and the last one; those in between end by themselves. */
async function endAll (first: Program, last: number): Promise<void> {
  process.kill(last, 'SIGTERM')
  const gone = await Promise.race([first.ended.then(() => true), delay(30_000, false, { ref: false })])
  if (!gone) endOther(last)
  leaveAlone(last)
}
