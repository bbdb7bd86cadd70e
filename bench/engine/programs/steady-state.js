// Imported for its effect: what is collected at some time in the life of every process has been collected after it.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setTimeout as delay } from 'node:timers/promises'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
for (let time = 0; time < 3; time++) {
  // From a timer, so that nothing of the start is under way.
  await delay(20)
  collect()
}
