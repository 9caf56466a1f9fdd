import { driverOver, tcp } from './transports.ts';

/** The driver "modbus-tcp". */
const modbusTcp = driverOver(tcp);

export default modbusTcp;
