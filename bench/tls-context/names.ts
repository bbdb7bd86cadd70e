import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Figure } from '../engine/figure.js'
import { withLab, type Lab } from './lab.js'
import { program } from './server.js'

/** What 1,000 names cost: memory, and the longest turn of the event loop while they are read again. */
export async function names (): Promise<Figure[]> {
  return await withLab(async lab => {
    const { longest, usual } = turns(lab)
    return [
      { what: 'memory of a name\'s context', unit: 'KiB', samples: [1, 2, 3].map(() => memory(lab)) },
      { what: 'longest turn in a reload of 1,000 names, 100 changed', unit: 'ms of CPU', samples: longest, target: { of: 'median', atMost: 5 }, note: 'with V8\'s collections of garbage, and what its other threads do' },
      { what: '99 of 100 turns stay below', unit: 'ms of CPU', samples: usual },
    ]
  })
}

function memory ({ cert, key }: Lab): number {
  return Number.parseFloat(run(['--expose-gc', program('memory.js'), JSON.stringify({ cert, key })]))
}

function turns ({ cert, key, other, directory }: Lab): { longest: number[], usual: number[] } {
  return JSON.parse(run([program('reload.js'), JSON.stringify({ cert, key, other, directory: join(directory, 'names') })])) as { longest: number[], usual: number[] }
}

function run (args: readonly string[]): string {
  return execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
