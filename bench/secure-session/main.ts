import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Figure } from '../engine/figure.js'
import { machine } from '../engine/machine.js'
import { isMet, table } from '../engine/table.js'
import { memory } from './memory.js'
import { withRedis } from './redis.js'
import { throughput, type Run } from './throughput.js'

interface Scale {
  readonly rounds: number
  /** Of each measure. */
  readonly seconds: number
}

interface Measure {
  /** Programs that it needs. */
  readonly needs: readonly string[]
  readonly run: (scale: Scale) => Promise<Figure[]>
}

const atLeast = (ratio: number): Run['target'] => ({ of: 'ratio', atLeast: ratio })
const BARE: Run = { kind: 'bare', path: '/untouched' }

const MEASURES: Readonly<Record<string, Measure>> = {
  sealed: {
    needs: ['wrk'],
    run: async scale => await throughput({
      ...scale,
      baseline: BARE,
      runs: [
        { kind: 'cookie', path: '/untouched' },
        { kind: 'sealed', path: '/untouched', target: atLeast(0.95) },
        { kind: 'sealed', path: '/read', target: atLeast(0.85) },
        { kind: '@fastify/secure-session', path: '/read' },
        { kind: 'iron-session', path: '/read' },
        { kind: 'sealed', path: '/write', target: atLeast(0.62) },
        { kind: '@fastify/secure-session', path: '/write' },
        { kind: 'iron-session', path: '/write' },
      ],
    }),
  },
  'sealed-writes': {
    needs: ['wrk'],
    run: async scale => await throughput({
      ...scale, baseline: { kind: '@fastify/secure-session', path: '/write' }, runs: [{ kind: 'sealed', path: '/write', target: atLeast(1.7) }],
    }),
  },
  stores: {
    needs: ['wrk'],
    run: async scale => {
      const lmdb = mkdtempSync(join(tmpdir(), 'fastkeep-bench-lmdb-'))
      try {
        return await throughput({
          ...scale,
          baseline: BARE,
          places: { lmdb },
          runs: [
            { kind: 'memory', path: '/read', target: atLeast(0.80) },
            { kind: 'lmdb', path: '/read', target: atLeast(0.70) },
            { kind: '@fastify/session memory', path: '/read' },
            { kind: 'memory', path: '/write' },
            { kind: 'lmdb', path: '/write' },
            { kind: '@fastify/session memory', path: '/write' },
          ],
        })
      } finally {
        rmSync(lmdb, { recursive: true, force: true })
      }
    },
  },
  redis: {
    needs: ['wrk', 'redis-server'],
    run: async scale => await withRedis(async port => {
      const places = { redis: port, '@fastify/session connect-redis': port }
      const compare = async (path: Run['path'], target: Run['target']): Promise<Figure[]> =>
        await throughput({ ...scale, places, baseline: { kind: '@fastify/session connect-redis', path }, runs: [{ kind: 'redis', path, target }] })
      return [...await compare('/read', atLeast(3)), ...await compare('/write', undefined)]
    }),
  },
  memory: { needs: [], run: async () => await memory() },
}

/**
 * Runs the measures that are named, by default all, and prints one table.
 *
 * @param args names of measures; `--full` for more rounds
 * @returns 0 all targets met, 1 one missed, 64 no such measure
 */
export async function run (args: readonly string[]): Promise<number> {
  const scale = args.includes('--full') ? { rounds: 10, seconds: 4 } : { rounds: 5, seconds: 2 }
  const names = args.filter(arg => arg !== '--full')
  const unknown = names.find(name => !Object.hasOwn(MEASURES, name))
  if (unknown !== undefined) {
    process.stderr.write(`bench session: there is no measure "${unknown}". There is: ${Object.keys(MEASURES).join(', ')}, and --full\n`)
    return 64
  }
  const before = machine()
  const figures: Figure[] = []
  const notRun: string[] = []
  for (const [name, { needs, run: measure }] of Object.entries(MEASURES)) {
    if (names.length > 0 && !names.includes(name)) continue
    const absent = needs.filter(program => !isInstalled(program))
    if (absent.length > 0) {
      notRun.push(`${name}: not run, ${absent.join(', ')} is not installed`)
      continue
    }
    process.stderr.write(`bench session: ${name}\n`)
    figures.push(...await measure(scale))
  }
  console.log([`${before}; at the end ${machine()}`, '', table(figures), ...notRun].join('\n'))
  return figures.every(isMet) ? 0 : 1
}

function isInstalled (program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(directory => existsSync(join(directory, program)))
}
