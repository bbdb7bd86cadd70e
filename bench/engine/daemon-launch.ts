import { type Figure, type Scale } from './figure.js'
import { endOther, Program, watchOver } from './program.js'
import { interleave } from './rounds.js'

const PROGRAMS = {
  'daemon-service': 'daemon launch to exit, plugin option `daemon`',
  'early-daemon-service': 'daemon launch to exit, `@fastkeep/engine/daemon` first',
}

/** How long an operator waits for a daemon, against the same program in the foreground until it is ready. */
export async function daemonLaunch ({ isFull }: Scale): Promise<Figure[]> {
  if (process.platform === 'win32') return []
  const figures: Figure[] = []
  for (const [program, what] of Object.entries(PROGRAMS)) {
    const { ours, peer } = await interleave(isFull ? 40 : 15, { ours: () => launch(program), peer: () => foreground(program) })
    figures.push({
      what,
      unit: 'ms',
      target: { of: 'ratio', atMost: 1.5 },
      samples: ours,
      peer: { name: 'foreground', samples: peer },
    })
  }
  return figures
}

async function launch (program: string): Promise<number> {
  const begin = performance.now()
  const launcher = Program.start(program, { DAEMON: 'true' })
  const [, pid] = await launcher.next(/^(\d+)\n/)
  watchOver(Number(pid))
  const { code } = await launcher.ended
  if (code !== 0) throw new Error(`the launcher ended with ${code}`)
  // Throws if it does not run: then the exit code was no truth.
  process.kill(Number(pid), 0)
  endOther(Number(pid))
  return (launcher.endedAt ?? Number.NaN) - begin
}

async function foreground (program: string): Promise<number> {
  const begin = performance.now()
  const service = Program.start(program)
  await service.next(/ready\n/)
  const time = performance.now() - begin
  await service.end()
  return time
}
