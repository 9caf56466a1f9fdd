import type { DriverFactory } from '#driver';
import { ModbusDriver } from './modbus-driver.ts';
import { TcpLink } from './tcp-link.ts';

/** The driver "modbus-tcp". */
const modbusTcp: DriverFactory = (host) =>
  new ModbusDriver(host, (host, settings, isShared) => new TcpLink(host, settings, isShared));

export default modbusTcp;
