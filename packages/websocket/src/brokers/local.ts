import type { Broker } from './broker.js'

/** For one process: there are no others. */
export function localBroker (): Broker {
  return {
    open () {},
    publish () {},
    subscribe () {},
    unsubscribe () {},
    async close () {},
  }
}
