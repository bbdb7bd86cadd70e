import type { FastifyInstance } from 'fastify'
import { report } from '../report.js'
import type { Topics } from '../topics.js'
import type { Broker } from './broker.js'
import { localBroker } from './local.js'
import { workersBroker, type Peers } from './workers.js'

/** The broker that was given; by default the one of the supervisor's workers, where the process is one of them. */
export function brokerFor (app: FastifyInstance, given?: Broker): Broker {
  if (given !== undefined) return given
  const peers = app.hasDecorator('engine') ? app.getDecorator<{ peers?: Peers }>('engine').peers : undefined
  return peers === undefined ? localBroker() : workersBroker(peers)
}

/** Has the topics carried while the application is open, and says when they are not. */
export function connectBroker (app: FastifyInstance, broker: Broker, topics: Topics): void {
  const { log } = app
  app.addHook('onReady', async () => {
    await broker.open({
      deliver: publication => { topics.deliver(publication) },
      away: (error, topic) => report(log, 'warn', 'broker', { code: 'FST_KEEP_WEBSOCKET_BROKER_AWAY', err: error, topic },
        `${topic === undefined ? 'Topics stay within their process, their broker is away' : `The topic ${JSON.stringify(topic)} stays within its process, the broker refuses it`}: ${error.message}`),
      back: (missed, topic) => report(log, 'info', 'broker', { code: 'FST_KEEP_WEBSOCKET_BROKER_BACK', missed, topic },
        `${topic === undefined ? 'Topics reach' : `The topic ${JSON.stringify(topic)} reaches`} other processes again; ${missed} publications of this one did not`),
      refused: error => report(log, 'warn', 'broker', { code: 'FST_KEEP_WEBSOCKET_BROKER_REFUSED', err: error },
        `A publication reached the sockets of this process only: ${error.message}`),
    })
  })
  app.addHook('onClose', async () => await broker.close())
}
