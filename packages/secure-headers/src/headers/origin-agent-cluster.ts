import { fixedValue } from './fixed-value.js'

/**
 * Asks for a process of its own for this origin, apart from its sibling subdomains.
 * https://html.spec.whatwg.org/multipage/browsers.html#origin-keyed-agent-clusters
 */
export const originAgentCluster = fixedValue('origin-agent-cluster', ['?1', '?0'], '?1')
