import type { Command } from '../command.js'
import { cert } from './cert.js'
import { check } from './check.js'
import { completion } from './completion.js'
import { grade } from './grade.js'
import { graceful } from './graceful.js'
import { reload, restart } from './replace.js'
import { scale } from './scale.js'
import { start } from './start.js'
import { status } from './status.js'
import { stop } from './stop.js'
import { unit } from './unit.js'

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  start, stop, reload, restart, graceful, status, scale, check, unit, cert, grade, completion(() => COMMANDS),
]
