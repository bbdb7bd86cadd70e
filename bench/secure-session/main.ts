import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Figure, type Measure } from '../engine/figure.js'
import { runMeasures } from '../measures.js'
import { memory } from './memory.js'
import { withRedis } from './redis.js'
import { throughput, type Run } from './throughput.js'

interface Scale {
  readonly rounds: number
  /** Of each measure. */
  readonly seconds: number
}

const atLeast = (ratio: number): Run['target'] => ({ of: 'ratio', atLeast: ratio })
const BARE: Run = { kind: 'bare', path: '/untouched' }

const MEASURES: Readonly<Record<string, Measure>> = {
  sealed: needing('sealed', ['wrk'], async scale => await throughput({
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
  })),
  'sealed-writes': needing('sealed-writes', ['wrk'], async scale => await throughput({
    ...scale, baseline: { kind: '@fastify/secure-session', path: '/write' }, runs: [{ kind: 'sealed', path: '/write', target: atLeast(1.7) }],
  })),
  stores: needing('stores', ['wrk'], async scale => {
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
  }),
  redis: needing('redis', ['wrk', 'redis-server'], async scale => await withRedis(async port => {
    const places = { redis: port, '@fastify/session connect-redis': port }
    const compare = async (path: Run['path'], target: Run['target']): Promise<Figure[]> =>
      await throughput({ ...scale, places, baseline: { kind: '@fastify/session connect-redis', path }, runs: [{ kind: 'redis', path, target }] })
    return [...await compare('/read', atLeast(3)), ...await compare('/write', undefined)]
  })),
  memory: async () => await memory(),
}

/**
 * @param args as in {@link runMeasures}
 * @returns the exit code
 */
export async function run (args: readonly string[]): Promise<number> {
  return await runMeasures('session', MEASURES, args)
}

/** A measure that is not run where a program is absent. */
function needing (name: string, programs: readonly string[], measure: (scale: Scale) => Promise<Figure[]>): Measure {
  return async ({ isFull }) => {
    const absent = programs.filter(program => !isInstalled(program))
    if (absent.length > 0) return [{ what: name, unit: '', samples: [], note: `not run, ${absent.join(', ')} is not installed` }]
    return await measure(isFull ? { rounds: 10, seconds: 4 } : { rounds: 5, seconds: 2 })
  }
}

function isInstalled (program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(directory => existsSync(join(directory, program)))
}
