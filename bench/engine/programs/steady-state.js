// Imported for its effect: a line on standard input has all garbage collected, which is told by `collected`.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setTimeout as delay } from 'node:timers/promises'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
process.stdin.on('data', async () => {
  for (let time = 0; time < 3; time++) {
    // From a timer, so that no answer is under way.
    await delay(20)
    collect()
  }
  console.log('collected')
}).unref()
