import { type Measure } from '../engine/figure.js'
import { runMeasures } from '../measures.js'
import { grading } from './grading.js'
import { handshakes } from './handshakes.js'
import { names } from './names.js'
import { resumption } from './resumption.js'

const MEASURES: Readonly<Record<string, Measure>> = { handshakes, resumption, grading, names }

/**
 * @param args as in {@link runMeasures}
 * @returns the exit code
 */
export async function run (args: readonly string[]): Promise<number> {
  return await runMeasures('tls', MEASURES, args)
}
