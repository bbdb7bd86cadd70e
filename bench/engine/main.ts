import { runMeasures } from '../measures.js'
import { busPublish } from './bus-publish.js'
import { daemonLaunch } from './daemon-launch.js'
import { type Measure } from './figure.js'
import { idle } from './idle.js'
import { pidFileRace } from './pid-file-race.js'
import { requestsPerSecond } from './requests-per-second.js'
import { restart } from './restart.js'
import { startUp } from './start-up.js'

const MEASURES: Readonly<Record<string, Measure>> = {
  'bus-publish': busPublish,
  'start-up': startUp,
  'daemon-launch': daemonLaunch,
  idle,
  'requests-per-second': requestsPerSecond,
  restart,
  'pid-file-race': pidFileRace,
}

/**
 * @param args as in {@link runMeasures}
 * @returns the exit code
 */
export async function run (args: readonly string[]): Promise<number> {
  return await runMeasures('engine', MEASURES, args)
}
