import { type Figure } from '../engine/figure.js'
import { machine } from '../engine/machine.js'
import { isMet, table } from '../engine/table.js'
import { fanOut } from './fan-out.js'
import { held, memory } from './idle.js'
import { pair } from './pairs.js'
import { slowReader } from './slow-reader.js'

interface Scale {
  readonly rounds: number
  readonly isFull: boolean
}

const MEASURES: Readonly<Record<string, (scale: Scale) => Promise<Figure[]>>> = {
  'fan-out': ({ rounds }) => fanOut(rounds),
  echo: async ({ rounds }) => [await pair(rounds, {
    what: 'echoes of 256 bytes, 64 clients', unit: '/s', task: 'echo', args: [64, 2_000], answer: 'echoed', peer: 'ws', target: { of: 'ratio', atLeast: 0.9 },
  })],
  upgrades: async ({ rounds }) => [await pair(rounds, {
    what: 'handshakes', unit: '/s', task: 'upgrades', args: [2_000, 32], answer: 'upgraded', peer: '@fastify/websocket', target: { of: 'ratio', atLeast: 0.85 },
  })],
  memory: ({ isFull }) => memory(isFull ? 5 : 2),
  'slow-reader': ({ rounds }) => slowReader(rounds),
  held: () => held(60),
}

/**
 * Runs the measures that are named, by default all, and prints one table.
 *
 * @param args names of measures; `--full` for more rounds
 * @returns 0 all targets met, 1 one missed, 64 no such measure
 */
export async function run (args: readonly string[]): Promise<number> {
  const isFull = args.includes('--full')
  const names = args.filter(arg => arg !== '--full')
  const unknown = names.find(name => !Object.hasOwn(MEASURES, name))
  if (unknown !== undefined) {
    process.stderr.write(`bench websocket: there is no measure "${unknown}". There is: ${Object.keys(MEASURES).join(', ')}, and --full\n`)
    return 64
  }
  const before = machine()
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (names.length > 0 && !names.includes(name)) continue
    process.stderr.write(`bench websocket: ${name}\n`)
    figures.push(...await measure({ rounds: isFull ? 10 : 4, isFull }))
  }
  console.log([`${before}; at the end ${machine()}`, '', table(figures)].join('\n'))
  return figures.every(isMet) ? 0 : 1
}
