import { type Measure } from '../engine/figure.js'
import { runMeasures } from '../measures.js'
import { fanOut } from './fan-out.js'
import { held, memory } from './idle.js'
import { pair } from './pairs.js'
import { slowReader } from './slow-reader.js'

const rounds = (isFull: boolean): number => isFull ? 10 : 4

const MEASURES: Readonly<Record<string, Measure>> = {
  'fan-out': ({ isFull }) => fanOut(rounds(isFull)),
  echo: async ({ isFull }) => [await pair(rounds(isFull), {
    what: 'echoes of 256 bytes, 64 clients', unit: '/s', task: 'echo', args: [64, 2_000], answer: 'echoed', peer: 'ws', target: { of: 'ratio', atLeast: 0.9 },
  })],
  upgrades: async ({ isFull }) => [await pair(rounds(isFull), {
    what: 'handshakes', unit: '/s', task: 'upgrades', args: [2_000, 32], answer: 'upgraded', peer: '@fastify/websocket', target: { of: 'ratio', atLeast: 0.85 },
  })],
  memory: ({ isFull }) => memory(isFull ? 5 : 2),
  'slow-reader': ({ isFull }) => slowReader(rounds(isFull)),
  held: () => held(60),
}

/**
 * @param args as in {@link runMeasures}
 * @returns the exit code
 */
export async function run (args: readonly string[]): Promise<number> {
  return await runMeasures('websocket', MEASURES, args)
}
