import type { Scenario } from '../service.js'
import { caddy } from './caddy.js'
import { gunicorn } from './gunicorn.js'
import { haproxy } from './haproxy.js'
import { nginx } from './nginx.js'
import { cluster, stopAndStart } from './node.js'
import { pm2 } from './pm2.js'

export const PEERS: readonly Scenario[] = [nginx, haproxy, caddy, pm2, gunicorn, cluster, stopAndStart]
