import { driverOver, rtuTcp } from '../transports.ts';

/** The driver "modbus-rtu-tcp". */
const driver = driverOver(rtuTcp);

export default driver;
