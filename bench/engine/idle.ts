import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Figure, type Scale } from './figure.js'
import { Program } from './program.js'
import { voluntarySwitches } from './thread-statistics.js'

/** ms */
const WINDOW = 10_000
const SETTLING = 4_000

/**
 * Wake-ups of an idle service with signals, crash policy and PID file. Both services are watched at the same time: a
 * timer of Node's HTTP server wakes either of them every 30 s.
 */
export async function idle ({ isFull }: Scale): Promise<Figure[]> {
  if (process.platform !== 'linux') return []
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-bench-'))
  const services = [Program.start('engine-service', { PID_FILE: join(directory, 'app.pid') }), Program.start('bare-service')] as const
  try {
    await Promise.all(services.map(service => service.next(/serving/)))
    await delay(SETTLING)
    const [ours, bare] = services
    const samples: number[] = []
    const peer: number[] = []
    for (let round = 0; round < (isFull ? 30 : 5); round++) {
      const before = [voluntarySwitches(ours.pid), voluntarySwitches(bare.pid)] as const
      await delay(WINDOW)
      samples.push(voluntarySwitches(ours.pid) - before[0])
      peer.push(voluntarySwitches(bare.pid) - before[1])
    }
    return [{
      what: 'idle, wake-ups in 10 s',
      unit: 'switches',
      target: { of: 'difference', atMost: 0 },
      samples,
      peer: { name: 'bare Fastify', samples: peer },
      note: `sum of all rounds ${sum(samples)}, of bare Fastify ${sum(peer)}`,
    }]
  } finally {
    await Promise.all(services.map(service => service.end()))
    rmSync(directory, { recursive: true })
  }
}

function sum (samples: readonly number[]): number {
  return samples.reduce((total, sample) => total + sample, 0)
}
