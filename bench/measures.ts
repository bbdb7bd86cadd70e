import { type Figure, type Measure } from './engine/figure.js'
import { machine } from './engine/machine.js'
import { isMet, table } from './engine/table.js'

/**
 * Runs the measures that are named, by default all, and prints one table; below it what was not run. That is a figure
 * without samples, whose note says why.
 *
 * @param bench its name on the command line
 * @param args names of measures; `--full` for the longest form of each
 * @returns 0 all targets met, 1 one missed, 64 no such measure
 */
export async function runMeasures (bench: string, measures: Readonly<Record<string, Measure>>, args: readonly string[]): Promise<number> {
  const isFull = args.includes('--full')
  const wanted = args.filter(arg => arg !== '--full')
  const unknown = wanted.find(name => !Object.hasOwn(measures, name))
  if (unknown !== undefined) {
    process.stderr.write(`bench ${bench}: there is no measure "${unknown}". There is: ${Object.keys(measures).join(', ')}, and --full\n`)
    return 64
  }
  const before = machine()
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(measures)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    process.stderr.write(`bench ${bench}: ${name}\n`)
    figures.push(...await measure({ isFull }))
  }
  const absent = figures.filter(({ samples }) => samples.length === 0)
  const measured = figures.filter(({ samples }) => samples.length > 0)
  console.log([`${before}; at the end ${machine()}`, '', table(measured), ...absent.map(({ what, note }) => `${what}: ${note}`)].join('\n'))
  return measured.every(isMet) ? 0 : 1
}
