import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExitCode, readPIDFile } from '@fastkeep/engine'
import { type Figure, type Scale } from './figure.js'
import { Program } from './program.js'

const RACERS = 50
const HELD = `failed ${ExitCode.CANNOT_CREATE} FST_KEEP_ENGINE_PID_FILE_HELD`

/** What the starts find, in turns. */
const FOUND: ReadonlyArray<(path: string) => void> = [
  () => {},
  path => writeFileSync(path, ''),
  // Above the highest pid that Linux gives.
  path => writeFileSync(path, '4194305\n'),
]

/** Starts of the same service at the same time; their processes run already, so that the starts meet. */
export async function pidFileRace ({ isFull }: Scale): Promise<Figure[]> {
  const rounds = isFull ? 100 : 20
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-bench-'))
  const path = join(directory, 'app.pid')
  const racers = Array.from({ length: RACERS }, () => Program.start('pid-file-racer', { PID_FILE: path }))
  try {
    await Promise.all(racers.map(racer => racer.next(/waiting\n/)))
    const winners: number[] = []
    const refused: number[] = []
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      FOUND[round % FOUND.length]?.(path)
      const begin = performance.now()
      const outcomes = await Promise.all(racers.map(racer => tell(racer, 'start')))
      times.push(performance.now() - begin)
      const started = racers.filter((_racer, index) => outcomes[index] === 'started')
      const file = readPIDFile(path)
      winners.push(started.filter(({ pid }) => file.state === 'running' && file.pid === pid).length)
      refused.push(outcomes.filter(outcome => outcome === HELD).length)
      for (const racer of started) await tell(racer, 'exit')
    }
    const what = `${RACERS} simultaneous starts x ${rounds}`
    return [
      { what: `${what}, winners that the PID file names`, unit: '', target: { of: 'every', atMost: 1, atLeast: 1 }, samples: winners },
      { what: `${what}, refused with ${ExitCode.CANNOT_CREATE}`, unit: '', target: { of: 'every', atMost: RACERS - 1, atLeast: RACERS - 1 }, samples: refused },
      { what: `${what}, until all know`, unit: 'ms', samples: times },
    ]
  } finally {
    await Promise.all(racers.map(racer => racer.end('SIGKILL')))
    rmSync(directory, { recursive: true })
  }
}

async function tell (racer: Program, command: string): Promise<string> {
  racer.write(command)
  return (await racer.next(/^(.*)\n/))[1] ?? ''
}
