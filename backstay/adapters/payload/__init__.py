"""Turns payloads into bytes and back: conversion, encryption, keys."""
