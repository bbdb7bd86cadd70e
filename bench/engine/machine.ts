import { availableParallelism, cpus, loadavg } from 'node:os'

/** On what the figures were measured, and how busy it was with anything else. */
export function machine (): string {
  const model = cpus()[0]?.model ?? 'an unknown processor'
  return `${availableParallelism()} cores (${model}), Node ${process.version}, ${process.platform}, load ${loadavg()[0]?.toFixed(1)}`
}
