import { setTimeout as delay } from 'node:timers/promises'
import { failedIn, type LoadReport } from '../load/client.js'
import { type Figure, type Scale } from './figure.js'
import { Loader } from './loader.js'
import { endOther, leaveAlone, Program, watchOver } from './program.js'

const CONNECTIONS = 8
const RESTARTS_A_ROUND = 4
/** ms */
const QUIET = 3_000
const PAUSE = 200

/** What a service with keep-alive clients loses by restarts in place, and by stopping with `app.close()` and starting anew. */
export async function restart ({ isFull }: Scale): Promise<Figure[]> {
  if (process.platform === 'win32') return []
  const rounds = isFull ? 25 : 5
  const quiet: LoadReport[] = []
  const during: LoadReport[] = []
  const plain: LoadReport[] = []
  for (let round = 0; round < rounds; round++) {
    const [without, withRestarts] = await inPlace()
    quiet.push(without)
    during.push(withRestarts)
    plain.push(await stopAndStart())
  }
  const times = `${rounds * RESTARTS_A_ROUND} restarts in place`
  const peer = { name: 'quiet', samples: quiet.map(({ p99 }) => p99) }
  return [
    {
      what: `${times}, requests lost`,
      unit: '',
      target: { of: 'every', atMost: 0 },
      samples: during.map(failedIn),
      note: `${during.reduce((sum, { ok }) => sum + ok, 0)} requests were answered`,
    },
    { what: `${times}, p99`, unit: 'ms', samples: during.map(({ p99 }) => p99), peer },
    {
      what: `${times}, longest request`,
      unit: 'ms',
      samples: during.map(({ longest }) => longest),
      peer: { name: 'quiet', samples: quiet.map(({ longest }) => longest) },
    },
    {
      what: 'control: app.close() and a new start, requests lost',
      unit: '',
      target: { of: 'every', atLeast: 1 },
      samples: plain.map(cut),
      note: `not counted: ${plain.reduce((sum, { refused }) => sum + refused, 0)} connections refused while nothing listened, for the client tries again at once`,
    },
  ]
}

/** @returns without and with restarts */
async function inPlace (): Promise<[LoadReport, LoadReport]> {
  const first = Program.start('engine-service')
  const [, port] = await first.next(/serving (\d+)/)
  let serving = first.pid
  try {
    const loader = await Loader.start({ port: Number(port), kind: 'keep-alive', connections: CONNECTIONS })
    await delay(QUIET)
    const quiet = await loader.end()
    const secondLoader = await Loader.start({ port: Number(port), kind: 'keep-alive', connections: CONNECTIONS })
    for (let count = 0; count < RESTARTS_A_ROUND; count++) {
      process.kill(serving, 'SIGHUP')
      leaveAlone(serving)
      serving = Number((await first.next(/serving \d+ as (\d+)/))[1])
      watchOver(serving)
      await delay(PAUSE)
    }
    return [quiet, await secondLoader.end()]
  } finally {
    endOther(serving)
    await first.end('SIGKILL')
  }
}

async function stopAndStart (): Promise<LoadReport> {
  let service = Program.start('bare-service')
  const [, port] = await service.next(/serving (\d+)/)
  const loader = await Loader.start({ port: Number(port), kind: 'keep-alive', connections: CONNECTIONS })
  for (let count = 0; count < RESTARTS_A_ROUND; count++) {
    await delay(PAUSE)
    await service.end()
    service = Program.start('bare-service', { PORT: port })
    await service.next(/serving/)
  }
  await delay(PAUSE)
  const report = await loader.end()
  await service.end()
  return report
}

/** Of those that had reached the service. */
function cut (report: LoadReport): number {
  return failedIn(report) - report.refused
}
