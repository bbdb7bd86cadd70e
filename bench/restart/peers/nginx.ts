import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Program } from '../../engine/program.js'
import { reloadBy } from '../children.js'
import { untilAnswered } from '../until-answered.js'
import type { Scenario, Site } from '../service.js'
import { backend } from './backend.js'
import { versionOf } from './version.js'

/** https://nginx.org/en/docs/control.html */
export const nginx: Scenario = {
  name: '`nginx -s reload`',
  version: async () => await versionOf('nginx', ['-v'], /nginx\/[\d.]+/),
  start: async site => {
    const { port, program } = await backend(site)
    const file = join(site.directory, 'nginx.conf')
    writeFileSync(file, configuration(site, port))
    const server = new Program(['-c', file, '-p', site.directory, '-g', 'daemon off;'], {}, { command: 'nginx' })
    await untilAnswered(site.ports.http)
    return {
      pid: server.pid,
      act: async () => await reloadBy('SIGHUP', server, site.workers),
      end: async () => {
        await server.end('SIGTERM')
        await program.end('SIGKILL')
      },
    }
  },
}

function configuration ({ ports, directory, keepAliveTimeout, workers }: Site, upstream: number): string {
  return `
worker_processes ${workers};
pid ${directory}/nginx.pid;
error_log ${directory}/nginx-error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${directory}/nginx-body;
  proxy_temp_path ${directory}/nginx-proxy;
  fastcgi_temp_path ${directory}/nginx-fastcgi;
  uwsgi_temp_path ${directory}/nginx-uwsgi;
  scgi_temp_path ${directory}/nginx-scgi;
  keepalive_timeout ${keepAliveTimeout / 1000}s;
  keepalive_requests 100000000;
  client_max_body_size 100m;
  ssl_certificate ${directory}/cert.pem;
  ssl_certificate_key ${directory}/key.pem;
  ssl_session_cache shared:tls:1m;
  map $http_upgrade $connection_header { default ''; websocket upgrade; }
  upstream app { server 127.0.0.1:${upstream}; keepalive 64; }
  server {
    listen 127.0.0.1:${ports.http};
    listen 127.0.0.1:${ports.https} ssl;
    listen 127.0.0.1:${ports.h2} ssl http2;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection $connection_header;
      proxy_set_header Upgrade $http_upgrade;
      proxy_request_buffering off;
    }
  }
}
`
}
