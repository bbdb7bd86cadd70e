// What a Node that listens weighs. From a file, as services are: `--eval` never heats up what finds files.
import net from 'node:net'

net.createServer().listen(0, '127.0.0.1', () => console.log('up'))
