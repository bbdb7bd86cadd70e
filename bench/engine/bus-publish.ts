import { EventEmitter } from 'node:events'
import { Engine } from '@fastkeep/engine'
import { type Figure } from './figure.js'
import { interleave } from './rounds.js'

const LISTENERS = 10
const PUBLISHES = 20_000

/** A publish with synchronous listeners; the peer is an emit of Node's EventEmitter, which neither awaits nor isolates. */
export async function busPublish (): Promise<Figure[]> {
  const engine = new Engine()
  const emitter = new EventEmitter()
  let calls = 0
  for (let index = 0; index < LISTENERS; index++) {
    engine.subscribe('measured', () => { calls++ }, { name: `listener ${index}` })
    emitter.on('measured', () => { calls++ })
  }
  const { ours, peer } = await interleave(15, {
    ours: () => timePerListener(() => engine.publish('measured')),
    peer: () => timePerListener(() => emitter.emit('measured')),
  })
  if (calls !== 2 * 16 * LISTENERS * PUBLISHES) throw new Error(`${calls} calls: not every listener ran`)
  return [{
    what: `publish to ${LISTENERS} sync listeners, per listener`,
    unit: 'us',
    target: { of: 'median', atMost: 1 },
    samples: ours,
    peer: { name: 'EventEmitter', samples: peer },
  }]
}

/** us. Both variants are awaited, so that the difference is theirs alone. */
async function timePerListener (publish: () => unknown): Promise<number> {
  const start = performance.now()
  for (let index = 0; index < PUBLISHES; index++) await publish()
  return (performance.now() - start) * 1000 / (PUBLISHES * LISTENERS)
}
